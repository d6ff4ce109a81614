//! The ports in front of a publisher.

use std::net::SocketAddr;

use clima_proto::clima::v1::TweetEvent;
use clima_proto::fate::Fate;
use clima_proto::intake::Intake;
use clima_service::grpc;
use clima_service::ports::{Deliver, INTERNAL_SERVICE, PUBLIC_SERVICE, TweetMetrics, TweetPorts};
use clima_service::process::{self, Process, RunError};
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use crate::metrics::PublishMetrics;
use crate::outage::{Outage, TRY_FOR, Verdict};
use crate::{PublishError, Publisher, WriterConfig};

/// A writer whose ports are open and whose publisher is still to come.
#[derive(Debug)]
pub struct Writer {
    /// Tasks, readiness and metrics, for the publisher to add to.
    pub process: Process,
    public: TcpListener,
    internal: TcpListener,
    max_connections: u32,
    max_in_flight: usize,
}

impl Writer {
    /// Opens the ports.
    ///
    /// # Errors
    ///
    /// One of them cannot be opened.
    pub async fn bind(
        config: &WriterConfig,
        shutdown: CancellationToken,
    ) -> Result<Self, RunError> {
        Ok(Self {
            process: Process::bind(&config.process, shutdown).await?,
            public: process::bind("grpc", config.ports.listen)?,
            internal: process::bind("internal grpc", config.ports.internal_listen)?,
            max_connections: config.ports.max_connections,
            max_in_flight: config.max_in_flight as usize,
        })
    }

    /// Address of the public port.
    ///
    /// # Errors
    ///
    /// The socket has none, which the operating system would have to explain.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.public.local_addr()
    }

    /// Address of the internal port.
    ///
    /// # Errors
    ///
    /// As for [`address`](Self::address).
    pub fn internal_address(&self) -> std::io::Result<SocketAddr> {
        self.internal.local_addr()
    }

    /// Serves both ports in front of `publisher` until shutdown, then drains.
    ///
    /// # Errors
    ///
    /// A task ended before, or did not end after.
    pub async fn serve<P: Publisher>(mut self, publisher: P) -> Result<(), RunError> {
        let metrics = TweetMetrics::register(&mut self.process.registry);
        let intake = Intake::new().map_err(RunError::setup)?;
        let delivery = Delivery {
            publisher,
            metrics: PublishMetrics::register(&mut self.process.registry, P::BROKER),
            outage: Outage::default(),
        };
        let ports = TweetPorts::new(intake, delivery, self.max_in_flight, metrics);
        grpc::spawn(
            &mut self.process,
            "grpc",
            self.public,
            self.max_connections,
            ports.public_routes(),
            &[PUBLIC_SERVICE],
        )?;
        grpc::spawn(
            &mut self.process,
            "internal grpc",
            self.internal,
            self.max_connections,
            ports.internal_routes(),
            &[INTERNAL_SERVICE],
        )?;
        // The routes own the ports, and with them the publisher: it ends when the last call has.
        drop(ports);
        self.process.run().await
    }
}

/// A publisher as the place where tweets go next.
#[derive(Debug)]
struct Delivery<P> {
    publisher: P,
    metrics: PublishMetrics,
    outage: Outage,
}

impl<P: Publisher> Deliver for Delivery<P> {
    async fn deliver(&self, event: &TweetEvent, deadline: Instant) -> Result<(), Status> {
        let (publishing, begun) = (self.metrics.handed_over(), Instant::now());
        let verdict = self.outage.verdict(begun);
        let until = match verdict {
            Verdict::Try => deadline.min(begun + TRY_FOR),
            Verdict::Publish | Verdict::Hold => deadline,
        };
        let outcome = if verdict == Verdict::Hold {
            Err(PublishError::Held("it has been away for long".to_owned()))
        } else {
            let Ok(outcome) = timeout_at(until, self.publisher.publish(event)).await else {
                self.outage.silent(begun, Instant::now());
                let message = format!("{} did not confirm in time", P::BROKER);
                return Err(match verdict {
                    Verdict::Try => Fate::MaybeCounted.held(P::BROKER, message),
                    _ => Fate::MaybeCounted.status(Code::DeadlineExceeded, message),
                });
            };
            outcome
        };
        publishing.answered(&outcome);
        match outcome {
            Ok(()) => {
                self.outage.confirmed();
                Ok(())
            }
            Err(error) => {
                if let PublishError::Unavailable(_) | PublishError::Unconfirmed(_) = error {
                    self.outage.failed(begun);
                }
                tracing::debug!(broker = P::BROKER, %error, "not published");
                Err(error.status(P::BROKER))
            }
        }
    }
}
