//! Choosing where the parts run.

use clap::ValueEnum;

use crate::docker;
use crate::notices::Notices;

/// Where the parts of a stack are to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum RuntimeChoice {
    /// As containers where a Docker engine answers and Docker Compose is installed, else as processes
    Auto,
    /// As containers of deploy/compose.yaml
    Docker,
    /// As processes of this machine
    #[default]
    Native,
}

impl RuntimeChoice {
    /// Whether the parts run as containers.
    ///
    /// # Errors
    /// When Docker is wanted and cannot be used.
    pub(crate) async fn is_docker(self, notices: &Notices) -> anyhow::Result<bool> {
        let docker = match self {
            Self::Native => return Ok(false),
            Self::Auto | Self::Docker => docker::available().await,
        };
        match docker {
            Ok(engine) => {
                notices.say(format!("the parts are containers of Docker {engine}"));
                Ok(true)
            }
            Err(error) if self == Self::Docker => Err(error.context("Docker cannot be used")),
            // Nobody asked for it: why it is not used would only be noise.
            Err(_) => Ok(false),
        }
    }
}
