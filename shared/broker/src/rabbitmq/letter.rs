//! One dead letter as RabbitMQ has it: made by a consumer, or by the broker itself.

use chrono::{DateTime, Utc};
use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};
use uuid::Uuid;

use super::properties::{carried_over, header};
use crate::{
    consumer::{DEAD_QUEUE, DEAD_REASON, DEAD_TIME},
    dead_letters::DeadLetter,
};

/// Header of a dead letter that was sent back: the routing key with which it was published first. AMQP's own names the queue.
pub(super) const ROUTING_KEY: &str = "carepost-routing-key";

/// What the broker writes when it gives up on a message by itself.
const BROKERS_DEATHS: &str = "x-death";
const BROKERS_REASON: &str = "x-first-death-reason";
const BROKERS_QUEUE: &str = "x-first-death-queue";

/// Headers that tell of a death: they begin like this.
const OF_DEATH: [&str; 5] = [
    "carepost-dead-",
    "x-death",
    "x-first-death-",
    "x-last-death-",
    "x-delivery-count",
];

/// Where the ids of letters come from.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f0b_31a4_2c57_5d0e_9a41_7e8d_c3b2_f516);

/// What is known of a letter. It has no id of its own, so its id is made of all that it is.
pub(super) fn letter(properties: &BasicProperties, routing_key: &str, body: Vec<u8>) -> DeadLetter {
    let either = |ours: &str, brokers: &str| header(properties, ours).or_else(|| header(properties, brokers));
    let mut letter = DeadLetter {
        id: String::new(),
        message_id: properties.message_id().as_ref().map(ToString::to_string),
        message_type: properties.kind().as_ref().map(ToString::to_string),
        routing_key: header(properties, ROUTING_KEY).unwrap_or_else(|| routing_key.to_owned()),
        queue: either(DEAD_QUEUE, BROKERS_QUEUE),
        reason: either(DEAD_REASON, BROKERS_REASON),
        time: time(properties),
        body,
    };
    letter.id = identity(&letter);
    letter
}

/// The properties with which a letter goes back: as they were before its death.
pub(super) fn revived(properties: &BasicProperties, routing_key: &str) -> BasicProperties {
    let mut headers = FieldTable::default();
    for (name, value) in properties.headers().iter().flat_map(FieldTable::inner) {
        if !OF_DEATH.iter().any(|start| name.as_str().starts_with(start)) {
            headers.insert(name.clone(), value.clone());
        }
    }
    headers.insert(ROUTING_KEY.into(), AMQPValue::LongString(routing_key.into()));
    carried_over(properties, headers)
}

fn identity(letter: &DeadLetter) -> String {
    let mut whole = Vec::new();
    let time = letter.time.map(|time| time.to_rfc3339());
    for text in [&letter.message_id, &letter.queue, &letter.reason, &time] {
        let text = text.as_deref().unwrap_or_default();
        whole.extend(text.len().to_be_bytes());
        whole.extend(text.as_bytes());
    }
    whole.extend(&letter.body);
    Uuid::new_v5(&NAMESPACE, &whole).to_string()
}

fn time(properties: &BasicProperties) -> Option<DateTime<Utc>> {
    if let Some(time) = header(properties, DEAD_TIME) {
        return time.parse().ok();
    }
    let AMQPValue::FieldArray(deaths) = properties.headers().as_ref()?.inner().get(BROKERS_DEATHS)? else {
        return None;
    };
    let AMQPValue::FieldTable(last) = deaths.as_slice().first()? else {
        return None;
    };
    let AMQPValue::Timestamp(seconds) = last.inner().get("time")? else {
        return None;
    };
    DateTime::from_timestamp(i64::try_from(*seconds).ok()?, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn properties(headers: &[(&str, &str)]) -> BasicProperties {
        let mut table = FieldTable::default();
        for (name, value) in headers {
            table.insert((*name).into(), AMQPValue::LongString((*value).into()));
        }
        BasicProperties::default().with_headers(table)
    }

    #[test]
    fn letters_that_differ_in_anything_have_ids_that_differ() {
        let base = [
            (DEAD_QUEUE, "work"),
            (DEAD_REASON, "bad"),
            (DEAD_TIME, "2026-01-01T00:00:00Z"),
        ];
        let id = |headers: &[(&str, &str)], body: &[u8]| letter(&properties(headers), "key", body.to_vec()).id;
        assert_eq!(id(&base, b"1"), id(&base, b"1"));
        let mut ids = vec![
            id(&base, b"1"),
            id(&base, b"2"),
            id(&base[1..], b"1"),
            id(&base[..2], b"1"),
        ];
        ids.push(letter(&properties(&base).with_message_id("7".into()), "key", b"1".to_vec()).id);
        ids.push(id(&[(DEAD_QUEUE, "wor"), (DEAD_REASON, "kbad"), base[2]], b"1"));
        let count = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), count);
    }

    #[test]
    fn a_letter_goes_back_without_its_death() {
        let headers = [
            (DEAD_QUEUE, "work"),
            (BROKERS_REASON, "rejected"),
            ("traceparent", "00-1-2-01"),
        ];
        let dead = properties(&headers).with_message_id("7".into());
        let revived = revived(&dead, "message.sent");
        let names: Vec<_> = revived
            .headers()
            .iter()
            .flat_map(FieldTable::inner)
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(names, [ROUTING_KEY, "traceparent"]);
        assert_eq!(header(&revived, ROUTING_KEY).as_deref(), Some("message.sent"));
        assert_eq!(revived.message_id(), dead.message_id());
        assert_eq!(letter(&revived, "work", Vec::new()).routing_key, "message.sent");
    }

    #[test]
    fn headers_of_any_kind_are_no_fault() {
        let mut headers = FieldTable::default();
        headers.insert(DEAD_QUEUE.into(), AMQPValue::Boolean(true));
        headers.insert(DEAD_REASON.into(), AMQPValue::LongString(vec![0xff].into()));
        headers.insert(DEAD_TIME.into(), AMQPValue::LongString("yesterday".into()));
        let letter = letter(&BasicProperties::default().with_headers(headers), "key", vec![0xff]);
        assert_eq!((letter.queue, letter.reason, letter.time), (None, None, None));
        assert_eq!((letter.routing_key.as_str(), letter.body), ("key", vec![0xff]));
    }
}
