//! Claims about the local stack, checked with real servers.

use std::time::Instant;

use clima_local::{Part, Stack};

#[tokio::test(flavor = "multi_thread")]
async fn servers_start_on_free_ports_and_answer() {
    let begun = Instant::now();
    let stack = Stack::builder()
        .servers()
        .fast_start(true)
        .start()
        .await
        .unwrap();
    println!("{:?}", begun.elapsed());
    for part in Part::SERVERS {
        println!("{part} {} {:?}", stack.address(part), stack.pid(part));
        stack.kill(part).await.unwrap();
        assert!(!stack.is_running(part));
    }
    for part in Part::SERVERS {
        stack.start_part(part).await.unwrap();
    }
    stack.shutdown().await.unwrap();
    println!("{:?}", begun.elapsed());
}
