//! One channel in confirm mode: messages go out as they come, confirmations are read as a stream.
//!
//! # Returned messages
//!
//! An unroutable message is returned *and then confirmed*, so a confirmation alone does not prove that a
//! message is in the queue. lapin attaches a return to the confirmation that it processes next, which need
//! not be that of the returned message; but a return arrives before the confirmation of its message, so
//! when the confirmation of an unroutable message is there, the one that carries its return is there too.
//! Hence the rule: before any confirmation of a channel is believed, all that have arrived are looked at; if
//! one of them carries a return, none is believed and the channel is given up.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use clima_service::sabotage::{self, Sabotage};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use lapin::options::BasicPublishOptions;
use lapin::{BasicProperties, Channel, Confirmation};
use tokio::sync::{mpsc, oneshot};

use crate::ProducerError;
use crate::topology::ROUTING_KEY;

/// Unconfirmed messages on one channel. lapin looks at all of them for each confirmation of several.
pub(crate) const UNCONFIRMED: usize = 500;

/// A message on its way, and who waits for its fate.
#[derive(Debug)]
pub(crate) struct Publish {
    pub(crate) payload: Vec<u8>,
    pub(crate) properties: BasicProperties,
    pub(crate) reply: oneshot::Sender<Result<(), ProducerError>>,
}

type Reply = oneshot::Sender<Result<(), ProducerError>>;
type Settled = (Result<Confirmation, lapin::Error>, Reply);
type Pending = Pin<Box<dyn Future<Output = Settled> + Send>>;

/// Publishes what comes in until the channel fails, or until nobody can send any more and all is confirmed.
///
/// Replies that are dropped without a word mean: not confirmed.
pub(crate) async fn run(
    channel: Channel,
    exchange: String,
    mut messages: mpsc::Receiver<Publish>,
) -> Result<(), ProducerError> {
    let mut unconfirmed = FuturesUnordered::<Pending>::new();
    let mut open = true;
    while open || !unconfirmed.is_empty() {
        tokio::select! {
            message = messages.recv(), if open && unconfirmed.len() < UNCONFIRMED => match message {
                Some(message) => unconfirmed.push(publish(&channel, &exchange, message)),
                None => open = false,
            },
            Some(settled) = unconfirmed.next() => {
                let mut all = vec![settled];
                take_arrived(&mut unconfirmed, &mut all);
                settle(all)?;
            }
        }
    }
    Ok(())
}

fn publish(channel: &Channel, exchange: &str, message: Publish) -> Pending {
    let (channel, exchange) = (channel.clone(), exchange.to_owned());
    Box::pin(async move {
        let Publish {
            payload,
            properties,
            reply,
        } = message;
        let options = BasicPublishOptions {
            mandatory: true,
            ..BasicPublishOptions::default()
        };
        let sent = channel.basic_publish(
            exchange.into(),
            ROUTING_KEY.into(),
            options,
            &payload,
            properties,
        );
        let outcome = match sent.await {
            Ok(_) if sabotage::is(Sabotage::NoConfirms) => Ok(Confirmation::Ack(None)),
            Ok(confirm) => confirm.await,
            Err(error) => Err(error),
        };
        (outcome, reply)
    })
}

/// Takes every confirmation that has arrived. `FuturesUnordered` may stop early to let others run and then
/// wakes its task at once; the flag tells such a stop from the end.
fn take_arrived(unconfirmed: &mut FuturesUnordered<Pending>, all: &mut Vec<Settled>) {
    struct Woken(AtomicBool);
    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let woken = Arc::new(Woken(AtomicBool::new(false)));
    let waker = Waker::from(Arc::clone(&woken));
    let mut context = Context::from_waker(&waker);
    loop {
        match unconfirmed.poll_next_unpin(&mut context) {
            Poll::Ready(Some(settled)) => all.push(settled),
            Poll::Ready(None) => return,
            Poll::Pending => {
                if !woken.0.swap(false, Ordering::SeqCst) {
                    return;
                }
            }
        }
    }
}

/// Believes these confirmations, unless one carries a return or an error: then the channel is given up.
fn settle(all: Vec<Settled>) -> Result<(), ProducerError> {
    let failure = all.iter().find_map(|(outcome, _)| failure(outcome));
    for (outcome, reply) in all {
        let outcome = match (&failure, outcome) {
            (Some(failure), _) => Err(failure.clone()),
            (None, Ok(Confirmation::Ack(None))) => Ok(()),
            (None, _) => Err(ProducerError::Nacked),
        };
        // Nobody waits any more: their deadline passed.
        reply.send(outcome).ok();
    }
    failure.map_or(Ok(()), Err)
}

fn failure(outcome: &Result<Confirmation, lapin::Error>) -> Option<ProducerError> {
    match outcome {
        Ok(Confirmation::Ack(Some(returned)) | Confirmation::Nack(Some(returned))) => {
            Some(ProducerError::Returned(returned.reply_text.to_string()))
        }
        Ok(_) => None,
        Err(error) => Some(ProducerError::Lost(error.to_string())),
    }
}
