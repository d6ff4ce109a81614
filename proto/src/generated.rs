//! What the build script generated, in the module tree of the proto packages.

/// Package `wethertweet`: the assignment's public contract.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub mod wethertweet {
    tonic::include_proto!("wethertweet");
}

/// Packages `clima.*`: our own contracts.
pub mod clima {
    /// Package `clima.v1`: the event, and the service that carries it between our processes.
    #[allow(missing_docs, unreachable_pub, clippy::all)]
    pub mod v1 {
        tonic::include_proto!("clima.v1");
    }
}
