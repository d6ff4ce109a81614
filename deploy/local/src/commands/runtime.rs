//! Where the parts run: options that several commands have.

use clima_local::{RuntimeChoice, StackBuilder};

/// Options of every command that starts parts.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct RuntimeArgs {
    /// Where the parts run
    #[arg(long, env = "CLIMA_RUNTIME", value_name = "WHERE", value_enum, default_value_t = RuntimeChoice::Auto)]
    pub(crate) runtime: RuntimeChoice,
    /// With Docker: use the images of our services that are there, instead of building them
    #[arg(long)]
    pub(crate) no_build: bool,
}

impl RuntimeArgs {
    /// Tells a builder.
    pub(crate) fn apply(&self, builder: StackBuilder) -> StackBuilder {
        builder
            .runtime(self.runtime)
            .images_are_built(self.no_build)
    }
}
