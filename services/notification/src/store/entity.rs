//! The table, as sea-orm sees it. It does not leave the store.

pub(super) mod delivery {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "delivery")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub organization: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub event_id: Uuid,
        pub message_id: Uuid,
        pub chart_id: Option<String>,
        pub recipient: String,
        pub state: String,
        pub attempt_count: i32,
        pub unknown_outcome_count: i32,
        pub last_code: i32,
        pub last_answer: String,
        pub suppression_reason: Option<String>,
        pub traceparent: Option<String>,
        pub claim: Option<Uuid>,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
        pub next_attempt_at: Option<DateTimeUtc>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
