//! The tables, as sea-orm sees them. They do not leave the store.

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
        pub retried_at: Option<DateTimeUtc>,
        pub retried_by_service: Option<String>,
        pub retried_by_person: Option<String>,
        pub attempts_before_retry: i32,
        pub unknown_before_retry: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod attempt {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "attempt")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub organization: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub delivery: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub number: i32,
        pub begun_at: DateTimeUtc,
        pub ended_at: Option<DateTimeUtc>,
        pub outcome: Option<String>,
        pub code: i32,
        pub answer: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod preference {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "preference")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub organization: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub staff: String,
        pub email_on_message: bool,
        pub updated_at: DateTimeUtc,
        pub updated_by_service: Option<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
