//! Who we are to RabbitMQ.

/// A user and its password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RabbitmqLogin {
    pub(crate) user: String,
    pub(crate) password: String,
}

impl Default for RabbitmqLogin {
    /// The user of a new node, which is let in from loopback only.
    fn default() -> Self {
        Self {
            user: "guest".to_owned(),
            password: "guest".to_owned(),
        }
    }
}

impl RabbitmqLogin {
    /// The node at this `host:port` as a URI. `%2f` is the name of the default virtual host, `/`.
    pub(crate) fn url(&self, address: &str) -> String {
        let Self { user, password } = self;
        format!("amqp://{user}:{password}@{address}/%2f")
    }
}
