//! One whole stack for all tests, which take turns on it and leave every part running, and what it has counted.

use std::net::{SocketAddr, TcpListener};
use std::sync::LazyLock;
use std::time::Duration;

use clima_local::{Backlog, Counts, Part, Stack, StackFile, Totals};
use tokio::sync::{Mutex, MutexGuard, OnceCell};

/// How long a count may stand still.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The tests run on runtimes of their own, the stack on a thread of its own; it ends with this process.
static STACK: OnceCell<Mutex<Stack>> = OnceCell::const_new();

/// Where the page of the test of gRPC-web is served: the gateway has to know its origin from the start.
static PAGE: LazyLock<TcpListener> = LazyLock::new(|| TcpListener::bind("127.0.0.1:0").unwrap());

pub(crate) async fn stack() -> MutexGuard<'static, Stack> {
    let start = || async {
        let (_, page) = page();
        let allowed = format!("http://localhost:{}", page.port());
        let stack = Stack::builder()
            .fast_start(true)
            .env(Part::Gateway, "CLIMA_CORS_ORIGINS", allowed)
            .start()
            .await;
        Mutex::new(stack.unwrap())
    };
    STACK.get_or_init(start).await.lock().await
}

/// The listener of the page and its address. As `localhost` it is an origin that the gateway allows, as `127.0.0.1`
/// one that it does not know.
pub(crate) fn page() -> (TcpListener, SocketAddr) {
    (PAGE.try_clone().unwrap(), PAGE.local_addr().unwrap())
}

/// What both paths have counted, once nothing is on its way.
pub(crate) async fn totals(stack: &Stack) -> Totals {
    Backlog::drained(&StackFile::of(stack), PATIENCE)
        .await
        .unwrap();
    let mut counts = Counts::connect(&stack.address(Part::Valkey)).await.unwrap();
    counts.totals().await.unwrap()
}
