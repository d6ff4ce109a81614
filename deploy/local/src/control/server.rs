//! The answering side, inside `clima-local up`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use clima_local::{Part, Stack, StackFile};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OnceCell, mpsc};
use tokio::task::JoinSet;

use super::{PartStatus, Reply, Request, socket};

/// Who asked for the end of the stack, and waits to be told that it came.
#[derive(Debug)]
pub(crate) struct Asker(UnixStream);

impl Asker {
    /// Answers. That nobody listens any more is no error.
    pub(crate) async fn tell(mut self, outcome: &anyhow::Result<()>) {
        let reply = match outcome {
            Ok(()) => Reply::Done,
            Err(error) => Reply::Failed {
                reason: format!("{error:#}"),
            },
        };
        write(&mut self.0, &reply).await.ok();
    }
}

/// What every connection needs.
#[derive(Clone, Debug)]
struct Shared {
    stack: Arc<OnceCell<Arc<Stack>>>,
    down: mpsc::Sender<Asker>,
}

/// Listens in a state folder while it lives. The caller has claimed the folder.
#[derive(Debug)]
pub(crate) struct Server {
    shared: Shared,
    down: mpsc::Receiver<Asker>,
    tasks: JoinSet<()>,
    path: PathBuf,
}

impl Server {
    pub(crate) fn open(state_dir: &Path) -> anyhow::Result<Self> {
        let path = socket(state_dir);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).context("cannot remove the socket of an earlier stack");
            }
            _ => {}
        }
        let listener = UnixListener::bind(&path)
            .with_context(|| format!("cannot listen at {}", path.display()))?;
        let (asked, down) = mpsc::channel(1);
        let shared = Shared {
            stack: Arc::default(),
            down: asked,
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, shared.clone()));
        Ok(Self {
            shared,
            down,
            tasks,
            path,
        })
    }

    /// From now on the parts can be asked about; keeps `stack.json` true as well.
    pub(crate) fn serve(&mut self, stack: Arc<Stack>) {
        // Who hears that it is up may read the file next.
        write_file(&stack);
        self.tasks.spawn(keep_file(Arc::clone(&stack)));
        self.shared.stack.set(stack).ok();
    }

    /// Stops listening and removes what told of the stack. Returns when nobody writes `stack.json` any more: a task
    /// that is aborted may be in the middle of that.
    pub(crate) async fn close(mut self) {
        self.tasks.shutdown().await;
    }

    /// Completes when somebody asks for the end.
    pub(crate) async fn asked_down(&mut self) -> Asker {
        match self.down.recv().await {
            Some(asker) => asker,
            None => std::future::pending().await, // cannot be: `shared` has a sender
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.tasks.abort_all();
        fs::remove_file(&self.path).ok();
        fs::remove_file(self.path.with_file_name(StackFile::NAME)).ok();
    }
}

async fn accept(listener: UnixListener, shared: Shared) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let shared = shared.clone();
                tokio::spawn(async move {
                    // The asker went away: nobody is left to tell.
                    converse(stream, &shared).await.ok();
                });
            }
            Err(error) => eprintln!("cannot accept a connection: {error}"),
        }
    }
}

async fn converse(mut stream: UnixStream, shared: &Shared) -> anyhow::Result<()> {
    let mut line = String::new();
    BufReader::new(&mut stream).read_line(&mut line).await?;
    let reply = match serde_json::from_str(&line) {
        Ok(Request::Down) => {
            shared.down.send(Asker(stream)).await.ok();
            return Ok(());
        }
        Ok(request) => answer(request, shared).await,
        Err(error) => Err(error.into()),
    };
    let reply = reply.unwrap_or_else(|error| Reply::Failed {
        reason: format!("{error:#}"),
    });
    write(&mut stream, &reply).await
}

async fn write(stream: &mut UnixStream, reply: &Reply) -> anyhow::Result<()> {
    let mut line = serde_json::to_string(reply)?;
    line.push('\n');
    Ok(stream.write_all(line.as_bytes()).await?)
}

async fn answer(request: Request, shared: &Shared) -> anyhow::Result<Reply> {
    let Some(stack) = shared.stack.get() else {
        return Ok(Reply::Starting);
    };
    match request {
        Request::Status => {
            let parts = stack.parts().map(|part| status(stack, part)).collect();
            return Ok(Reply::Parts { parts });
        }
        Request::Kill { part } => stack.kill(part).await?,
        Request::Stop { part } => stack.stop(part).await?,
        Request::Start { part } => stack.start_part(part).await?,
        Request::Down => {} // has its own way, above
    }
    // Whoever asked may read it next; and RabbitMQ's process is known only now.
    StackFile::of(stack).write(stack.state_dir())?;
    Ok(Reply::Done)
}

fn status(stack: &Stack, part: Part) -> PartStatus {
    let state = match stack.how_it_ended(part) {
        Some(how) => how,
        None if stack.is_paused(part) => "paused".to_owned(),
        None => "running".to_owned(),
    };
    let since = stack.running_since(part);
    PartStatus {
        part,
        address: stack.address(part),
        pid: stack.pid(part),
        state,
        rss_bytes: stack.resident_bytes(part),
        uptime_seconds: since.and_then(|since| Some(since.elapsed().ok()?.as_secs())),
    }
}

async fn keep_file(stack: Arc<Stack>) {
    loop {
        let changed = stack.changed();
        write_file(&stack);
        changed.await;
    }
}

fn write_file(stack: &Stack) {
    if let Err(error) = StackFile::of(stack).write(stack.state_dir()) {
        eprintln!("{error:#}");
    }
}
