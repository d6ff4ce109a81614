//! What cannot be counted leaves no trace.

use bb8_redis::redis::{RedisError, cmd};
use clima_consumer_core::store::{Broker, StoreError};

use super::events::{SEEN, events, seen};
use super::server::Server;

const DATA: [&str; 13] = [
    "counts",
    "weather",
    "temperature_avg",
    "humidity_avg",
    "extremes",
    "municipality:mixco",
    "municipality:guatemala",
    "municipality:amatitlan",
    "municipality:chinautla",
    "series:mixco",
    "series:guatemala",
    "series:amatitlan",
    "series:chinautla",
];

fn key(name: &str) -> String {
    format!("clima:{{kafka}}:{name}")
}

/// Counts four tweets, spoils something, and claims: a batch of known and new tweets is refused with
/// CLIMA_BADKEY and changes nothing; after `FLUSHALL` the same store counts again.
async fn assert_refused_without_a_trace(server: &Server, spoil: &[&[&str]]) {
    server.run::<()>("FLUSHALL").await;
    let store = server.store(Broker::Kafka);
    store.apply(&events(0..4)).await.unwrap();
    for words in spoil {
        server.run_words::<()>(words).await;
    }
    let before = server.image().await;
    let error = store.apply(&events(0..20)).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Refused { code, .. } if code == "CLIMA_BADKEY"),
        "{spoil:?}: {error:?}"
    );
    assert_eq!(server.image().await, before, "{spoil:?}");
    server.run::<()>("FLUSHALL").await;
    assert_eq!(store.apply(&events(0..20)).await.unwrap().counted, 20);
}

#[tokio::test]
async fn a_key_of_a_wrong_type_stops_the_whole_batch() {
    let server = Server::take().await;
    for name in DATA {
        let key = key(name);
        assert_refused_without_a_trace(&server, &[&["SET", &key, "text"]]).await;
        assert_refused_without_a_trace(&server, &[&["DEL", &key], &["RPUSH", &key, "1"]]).await;
    }
    assert_refused_without_a_trace(&server, &[&["DEL", SEEN], &["RPUSH", SEEN, "1"]]).await;
}

#[tokio::test]
async fn a_field_that_nothing_can_be_added_to_stops_the_whole_batch() {
    let server = Server::take().await;
    for (name, field, value) in [
        ("counts", "total", "many"),
        ("counts", "mixco:sunny", "-1"),
        ("counts", "chinautla:foggy", ""),
        ("weather", "sunny", "1.5"),
        ("weather", "foggy", "nan"),
        ("temperature_avg", "mixco", "warm"),
        ("humidity_avg", "chinautla", "inf"),
        ("extremes", "temperature_max", "0x10"),
        ("extremes", "humidity_min", " 1"),
        ("municipality:mixco", "count", "-4"),
        ("municipality:guatemala", "temperature_sum", "1e3"),
        ("municipality:amatitlan", "humidity_sum", "9007199254740992"),
        (
            "municipality:chinautla",
            "temperature_sum",
            "-99999999999999999999",
        ),
        ("municipality:mixco", "last_received_at", "yesterday"),
        ("municipality:mixco", "last_id", "0a-1"),
    ] {
        assert_refused_without_a_trace(&server, &[&["HSET", &key(name), field, value]]).await;
    }
}

#[tokio::test]
async fn a_stream_without_ids_left_stops_the_whole_batch() {
    let server = Server::take().await;
    let series = key("series:amatitlan");
    let last = "18446744073709551615-18446744073709551615";
    assert_refused_without_a_trace(&server, &[&["XADD", &series, last, "count", "1"]]).await;
    // Also where the entry is gone.
    let spoil: [&[&str]; 2] = [
        &["XADD", &series, last, "count", "1"],
        &["XTRIM", &series, "MAXLEN", "0"],
    ];
    assert_refused_without_a_trace(&server, &spoil).await;
}

type Break = fn(&mut Call);

/// A call by hand: what no consumer sends, but a fault in one could.
struct Call {
    keys: Vec<String>,
    batch: Vec<u8>,
    rest: Vec<String>,
}

impl Call {
    /// One tweet: block 1, bit 41, amatitlan, cloudy, −3 °C, 80 %, second 1,700,000,000.
    fn valid() -> Self {
        let mut keys: Vec<_> = DATA.map(key).into();
        keys.push(SEEN.to_owned());
        let mut batch = vec![0, 1, 0, 41, 3, 2, 0xfd, 80];
        batch.extend(1_700_000_000_u64.to_be_bytes());
        batch.extend(5_u32.to_be_bytes());
        let rest = vec!["604800".to_owned(), "86400".to_owned()];
        Self { keys, batch, rest }
    }

    async fn send(&self, server: &Server) -> Result<Vec<u64>, RedisError> {
        let mut call = cmd("FCALL");
        call.arg("clima_count_v1")
            .arg(self.keys.len())
            .arg(&self.keys);
        call.arg(self.batch.as_slice()).arg(&self.rest);
        call.query_async(&mut server.raw()).await
    }
}

#[tokio::test]
async fn an_argument_that_is_not_whole_and_in_range_is_refused() {
    let server = Server::take().await;
    let store = server.store(Broker::Kafka);
    store.apply(&events(0..4)).await.unwrap();
    let before = server.image().await;
    let broken: [(&str, Break); 29] = [
        ("no tweet", |c| c.batch.clear()),
        ("a truncated tweet", |c| c.batch.truncate(19)),
        ("a truncated second tweet", |c| {
            c.batch.extend_from_within(..19)
        }),
        ("a trailing byte", |c| c.batch.push(0)),
        ("too many tweets", |c| c.batch = c.batch.repeat(2_001)),
        ("block 0", |c| c.batch[1] = 0),
        ("a block that has no key", |c| c.batch[1] = 2),
        ("municipality 0", |c| c.batch[4] = 0),
        ("municipality 5", |c| c.batch[4] = 5),
        ("weather 0", |c| c.batch[5] = 0),
        ("weather 5", |c| c.batch[5] = 5),
        ("61 °C", |c| c.batch[6] = 61),
        ("-91 °C", |c| c.batch[6] = (-91_i8).cast_unsigned()),
        ("101 %", |c| c.batch[7] = 101),
        ("the year 10,000", |c| c.batch[11] = 0xff),
        ("a second of 4 s", |c| c.batch[16] = 0xff),
        ("a second tweet that is bad", |c| {
            c.batch = c.batch.repeat(2);
            c.batch[24] = 9;
        }),
        ("a block that is not used", |c| c.keys.push(seen("1"))),
        ("a block that is there twice", |c| {
            c.keys.push(SEEN.to_owned());
            c.batch = c.batch.repeat(2);
            c.batch[21] = 2;
        }),
        ("a block with a leading zero", |c| c.keys[13] = seen("00")),
        ("a block past the last", |c| c.keys[13] = seen("4294967296")),
        ("a source in upper case", |c| {
            c.keys[13] = SEEN.replace("0a", "0A")
        }),
        ("a block of the other path", |c| {
            c.keys[13] = SEEN.replace("kafka", "rabbitmq")
        }),
        ("no block", |c| c.keys.truncate(13)),
        ("keys in another order", |c| c.keys.swap(1, 2)),
        ("no keys", |c| c.keys.clear()),
        ("a TTL that is no number", |c| c.rest[0] = "-1".into()),
        ("a TTL of 11 years", |c| c.rest[1] = "350000000".into()),
        ("one more argument", |c| c.rest.push(String::new())),
    ];
    for (what, break_it) in broken {
        let mut call = Call::valid();
        break_it(&mut call);
        let error = call.send(&server).await.expect_err(what);
        assert_eq!(error.code(), Some("CLIMA_BADARG"), "{what}: {error}");
        assert_eq!(server.image().await, before, "{what}");
    }
    assert_eq!(Call::valid().send(&server).await.unwrap(), [1, 0]);
}
