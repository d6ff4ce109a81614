//! How long Kafka keeps records, and what is told when that is not as the promise asks for.

use clima_consumer_core::contract::{
    Broker as _, records, until, until_acknowledged, until_counted,
};
use clima_consumer_core::store::MIN_TTL;
use clima_writer_kafka::topology::{self, TOPIC_SETTINGS};
use futures::future::join_all;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::{Kafka, kafka, partitions};

const DIFFERS: &str = "the topic is not as the promise asks for";
const RIGHT: &str = "the topic is as the promise asks for";
const GONE: &str = "kafka has deleted records";
const DELETED: &str = "clima_consumer_deleted_records_total";

impl Kafka {
    fn admin(&self) -> AdminClient<DefaultClientContext> {
        ClientConfig::new()
            .set("bootstrap.servers", &self.config.kafka_brokers)
            .create()
            .unwrap()
    }

    /// A topic as an operator may have made it.
    async fn create(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) {
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        let topic = settings
            .iter()
            .fold(topic, |topic, (key, value)| topic.set(key, value));
        let created = self.admin();
        let created = created.create_topics(&[topic], &AdminOptions::new()).await;
        for outcome in created.unwrap() {
            outcome.unwrap();
        }
    }

    /// Deletes what the topic holds, as its retention would, but for the last `keep` records of each partition. Returns
    /// how many records went.
    async fn delete_records(&self, keep: i64) -> u64 {
        let topic = &self.config.topic;
        let client = self.reader("reader");
        let bounds = tokio::task::block_in_place(|| partitions(&client, topic));
        let mut ends = TopicPartitionList::new();
        let mut deleted = 0;
        for (partition, low, high) in bounds {
            let first = low.max(high - keep);
            ends.add_partition_offset(topic, partition, Offset::Offset(first))
                .unwrap();
            deleted += (first - low).unsigned_abs();
        }
        let options = AdminOptions::new();
        self.admin().delete_records(&ends, &options).await.unwrap();
        deleted
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_setting_of_the_topic_that_differs_is_warned_about_by_name() {
    let kafka = kafka().await;
    let with = |name: &str, value: &'static str| {
        TOPIC_SETTINGS.map(|(key, right)| (key, if key == name { value } else { right }))
    };
    let cases = [
        ("retention.ms", "43200000", "86400000"),
        ("segment.ms", "3600000", "604800000"),
        ("message.timestamp.type", "LogAppendTime", "CreateTime"),
        ("retention.bytes", "-1", "1000000"),
        ("cleanup.policy", "delete", "compact"),
        ("partitions", "6", "3"),
        ("replicas", "2", "1"),
    ];
    let cases = cases.into_iter().map(async |(setting, expected, found)| {
        let topic = format!("operators-{setting}");
        let partitions = if setting == "partitions" { 3 } else { 6 };
        kafka.create(&topic, partitions, &with(setting, found)).await;
        let mut settings = vec![("CLIMA_KAFKA_TOPIC", topic.clone())];
        if setting == "replicas" {
            settings.push(("CLIMA_KAFKA_REPLICAS", expected.to_owned()));
        }
        let consumer = kafka.start(&settings);
        let warning = format!(
            "WARN clima_writer_kafka::differences: {DIFFERS} topic=\"{topic}\" setting=\"{setting}\" \
             expected=\"{expected}\" found=\"{found}\""
        );
        let warnings = || {
            let about = consumer.logged(&format!("topic=\"{topic}\""));
            let warnings = about.into_iter().filter(|line| line.starts_with("WARN"));
            warnings.collect::<Vec<_>>()
        };
        // The dead letters are looked at last, so by then all is said about the topic.
        let last = format!("asks for topic=\"{}\"", kafka.config.dead_topic);
        consumer.until_logged(&last).await;
        assert_eq!(warnings(), [warning], "{setting}");
        assert!(consumer.stop().await.success());
    });
    join_all(cases).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_that_would_not_stay_are_warned_about() {
    let kafka = kafka().await;
    let dead = format!("{}.operators", kafka.config.dead_topic);
    kafka
        .create(&dead, 6, &[("retention.ms", "604800000")])
        .await;
    let consumer = kafka.start(&[("CLIMA_KAFKA_DEAD_TOPIC", dead.clone())]);
    consumer.until_logged(DIFFERS).await;
    assert_eq!(
        consumer.logged(DIFFERS),
        [format!(
            "WARN clima_writer_kafka::differences: {DIFFERS} topic=\"{dead}\" setting=\"retention.ms\" \
             expected=\"-1\" found=\"604800000\""
        )]
    );
    assert!(consumer.stop().await.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_of_our_own_are_as_the_promise_asks_for() {
    let kafka = kafka().await;
    let consumer = kafka.start_consumer().await;
    until("both topics were looked at", async || {
        consumer.logged(RIGHT).len() == 2
    })
    .await;
    assert_eq!(consumer.logged(DIFFERS), [""; 0]);
    assert!(consumer.stop().await.success());
}

/// Bits are touched whenever one of their block is counted, so they live at least as long as after the last of it.
#[test]
fn a_bit_outlives_every_record_that_it_remembers() {
    let millis = |name: &str| {
        let (_, value) = TOPIC_SETTINGS.iter().find(|(key, _)| *key == name).unwrap();
        value.parse::<u128>().unwrap()
    };
    // A record goes with its segment: when the last of that is too old. As long again is the reserve: for the pace of
    // Kafka's cleaner, and for clocks.
    let oldest = millis("retention.ms") + millis("segment.ms");
    assert!(oldest * 3 / 2 < MIN_TTL.as_millis());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_kafka_deleted_uncounted_are_an_error_and_what_is_left_is_counted() {
    let kafka = kafka().await;
    kafka.publish(records(300)).await;
    let consumer = kafka.start_consumer().await;
    until_counted(&kafka, 300).await;
    until_acknowledged(&kafka).await;
    assert!(consumer.stop().await.success());
    // What was counted may go.
    kafka.delete_records(0).await;
    kafka.publish(records(900).split_off(300)).await;
    let uncounted = kafka.delete_records(10).await;
    assert!(uncounted >= 500, "{uncounted}");

    let consumer = kafka.start_consumer().await;
    until_counted(&kafka, 900 - uncounted).await;
    until_acknowledged(&kafka).await;
    until("every gap is told", async || {
        consumer.metric(DELETED).await == Some(uncounted)
    })
    .await;
    let told = consumer.logged(GONE);
    assert!((1..=6).contains(&told.len()), "{told:?}");
    assert!(told[0].starts_with(
        "ERROR clima_consumer_kafka::gaps: kafka has deleted records before they were counted: \
         accepted tweets may be lost partition="
    ));
    assert!(consumer.stop().await.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_whose_records_all_went_uncounted_is_noticed_while_no_others_come() {
    let kafka = kafka().await;
    kafka.publish(records(300)).await;
    assert_eq!(kafka.delete_records(0).await, 300);
    let consumer = kafka.start_consumer().await;
    until("every gap is told", async || {
        consumer.metric(DELETED).await == Some(300)
    })
    .await;
    // Records that come now begin after the gap, which is known.
    kafka.publish(records(600).split_off(300)).await;
    until_counted(&kafka, 300).await;
    until_acknowledged(&kafka).await;
    assert_eq!(consumer.metric(DELETED).await, Some(300));
    assert!(consumer.stop().await.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_go_while_the_consumer_reads_are_noticed() {
    let kafka = kafka().await;
    kafka.publish(records(300)).await;
    let consumer = kafka.start_consumer().await;
    until_counted(&kafka, 300).await;
    until_acknowledged(&kafka).await;
    // It stands still as it would on a machine that does: its session lives on for seconds.
    consumer.pause();
    kafka.publish(records(900).split_off(300)).await;
    let uncounted = kafka.delete_records(10).await;
    consumer.resume();
    until_acknowledged(&kafka).await;
    // A fetch that was on its way when it was stopped may have brought a part of them.
    let counted = 900 - uncounted;
    until_counted(&kafka, counted).await;
    until("what went uncounted is told", async || {
        consumer.metric(DELETED).await > Some(0)
    })
    .await;
    assert!(consumer.metric(DELETED).await <= Some(uncounted));
    assert!(consumer.stop().await.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_counted_may_be_deleted_and_read_again_and_is_no_gap() {
    let kafka = kafka().await;
    topology::declare_until_done(&kafka.config).await;
    kafka.publish(records(300)).await;
    let first = kafka.start_consumer().await;
    until_counted(&kafka, 300).await;
    until_acknowledged(&kafka).await;
    kafka.delete_records(10).await;
    // Others join, and every partition is read from its committed offset.
    let second = kafka.start_consumer().await;
    kafka.publish(records(600).split_off(300)).await;
    until_counted(&kafka, 600).await;
    assert!(first.stop().await.success());
    kafka.publish(records(900).split_off(600)).await;
    until_counted(&kafka, 900).await;
    until_acknowledged(&kafka).await;
    assert_eq!(second.metric(DELETED).await, Some(0));
    assert_eq!(second.logged(GONE), [""; 0]);
    assert!(second.stop().await.success());
}
