//! Named tasks, of which none may die unnoticed.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// The tasks of a process. They are aborted when this is dropped.
#[derive(Debug, Default)]
pub struct Tasks {
    running: JoinSet<Result<(), String>>,
    names: BTreeMap<Id, &'static str>,
}

/// Why a process could not go on, or could not end in time.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// The task ended although nobody had asked the process to stop.
    #[error("task `{task}` ended: {reason}")]
    Ended {
        /// Its name.
        task: &'static str,
        /// What it said, or that it panicked.
        reason: String,
    },
    /// Tasks still ran when the drain budget was used up.
    #[error("still running after the drain budget of {budget:?}: {tasks:?}")]
    Undrained {
        /// The budget.
        budget: Duration,
        /// Their names.
        tasks: Vec<&'static str>,
    },
}

impl Tasks {
    /// Starts a task. It must run until the process is asked to stop.
    pub fn spawn<E: Display>(
        &mut self,
        name: &'static str,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        let task = async move { task.await.map_err(|error| error.to_string()) };
        let id = self.running.spawn(task).id();
        self.names.insert(id, name);
    }

    /// Runs until `shutdown`, then gives the tasks `budget` to end.
    ///
    /// # Errors
    ///
    /// A task ended or panicked before `shutdown`, or is not done within `budget`.
    pub async fn run(
        mut self,
        shutdown: &CancellationToken,
        budget: Duration,
    ) -> Result<(), TaskError> {
        let mut failure = None;
        tokio::select! {
            () = shutdown.cancelled() => {}
            Some(ended) = self.running.join_next_with_id() => {
                let (task, outcome) = self.name(ended);
                // A task that was asked to end may be seen here before the request is.
                if !shutdown.is_cancelled() {
                    let reason = outcome.err().unwrap_or_else(|| "without an error".to_owned());
                    return Err(TaskError::Ended { task, reason });
                }
                failure = outcome.err().map(|reason| TaskError::Ended { task, reason });
            }
        }
        let drained = tokio::time::timeout(budget, async {
            while let Some(ended) = self.running.join_next_with_id().await {
                let (task, outcome) = self.name(ended);
                if let Err(reason) = outcome {
                    failure = Some(TaskError::Ended { task, reason });
                }
            }
            failure.map_or(Ok(()), Err)
        });
        match drained.await {
            Ok(outcome) => outcome,
            Err(_) => Err(TaskError::Undrained {
                budget,
                tasks: self.names.values().copied().collect(),
            }),
        }
    }

    /// Takes an ended task off the list.
    fn name(
        &mut self,
        ended: Result<(Id, Result<(), String>), JoinError>,
    ) -> (&'static str, Result<(), String>) {
        let (id, outcome) = match ended {
            Ok((id, outcome)) => (id, outcome),
            Err(error) => (error.id(), Err(error.to_string())),
        };
        (self.names.remove(&id).unwrap_or("unnamed"), outcome)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::pending;

    use super::*;

    const BUDGET: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn a_task_that_panics_ends_the_process_with_its_name() {
        let mut tasks = Tasks::default();
        tasks.spawn("steady", pending::<Result<(), Infallible>>());
        tasks.spawn("broken", async {
            assert!(std::env::args().count() == 0, "on purpose");
            Ok::<_, Infallible>(())
        });
        let error = tasks
            .run(&CancellationToken::new(), BUDGET)
            .await
            .unwrap_err();
        assert!(
            matches!(error, TaskError::Ended { task: "broken", .. }),
            "{error}"
        );
    }

    #[tokio::test]
    async fn tasks_that_do_not_drain_in_time_are_named() {
        let mut tasks = Tasks::default();
        tasks.spawn("stuck", pending::<Result<(), Infallible>>());
        let shutdown = CancellationToken::new();
        shutdown.cancel();
        let error = tasks.run(&shutdown, BUDGET).await.unwrap_err();
        assert!(matches!(error, TaskError::Undrained { tasks, .. } if tasks == ["stuck"]));
    }

    #[tokio::test]
    async fn a_task_that_ends_at_once_after_the_shutdown_is_no_failure() {
        // Many times: what is tried first must not be left to chance.
        for _ in 0..100 {
            let mut tasks = Tasks::default();
            let shutdown = CancellationToken::new();
            shutdown.cancel();
            tasks.spawn("quick", async { Ok::<_, Infallible>(()) });
            tokio::task::yield_now().await;
            tasks.run(&shutdown, BUDGET).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_process_whose_tasks_drain_ends_well() {
        let mut tasks = Tasks::default();
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone();
        tasks.spawn("polite", async move {
            stop.cancelled().await;
            Ok::<_, Infallible>(())
        });
        shutdown.cancel();
        assert!(tasks.run(&shutdown, BUDGET).await.is_ok());
    }
}
