//! One RabbitMQ node, in the Debian root folder and in namespaces of its own.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use anyhow::ensure;
use tokio::process::Command;

use crate::launch::Launch;

/// The node's data lies in a folder of this name, so it stays the same when the ports change. Nodes
/// of several stacks can share it: each has its own port mapper, and so they never meet.
const NODE: &str = "clima@localhost";

/// Where the data folder appears inside the root folder.
const HOME: &str = "/var/lib/rabbitmq";

/// The ports of one node.
pub(crate) struct NodePorts {
    pub(crate) amqp: u16,
    pub(crate) distribution: u16,
    pub(crate) epmd: u16,
}

/// Writes the settings of a node and says how to start it.
pub(crate) fn launch(root: &Path, state: &Path, ports: &NodePorts) -> anyhow::Result<Launch> {
    let NodePorts {
        amqp,
        distribution,
        epmd,
    } = ports;
    let data = state.join("rabbitmq");
    fs::create_dir_all(&data)?;
    fs::write(
        data.join("rabbitmq.conf"),
        format!(
            "\
listeners.tcp.1 = 127.0.0.1:{amqp}
distribution.listener.interface = 127.0.0.1
log.console = true
log.file = false
vm_memory_high_watermark.absolute = 512MB
disk_free_limit.absolute = 64MB
"
        ),
    )?;
    fs::write(data.join("enabled_plugins"), "[].\n")?;
    let env = [
        format!("RABBITMQ_NODENAME={NODE}"),
        format!("RABBITMQ_NODE_PORT={amqp}"),
        format!("RABBITMQ_DIST_PORT={distribution}"),
        format!("ERL_EPMD_PORT={epmd}"),
        "ERL_EPMD_ADDRESS=127.0.0.1".to_owned(),
        format!("RABBITMQ_CONFIG_FILE={HOME}/rabbitmq.conf"),
        format!("RABBITMQ_ENABLED_PLUGINS_FILE={HOME}/enabled_plugins"),
        format!("RABBITMQ_MNESIA_BASE={HOME}/mnesia"),
        "RABBITMQ_LOGS=-".to_owned(),
        format!("ERL_CRASH_DUMP={HOME}/erl_crash.dump"),
        // Erlang's schedulers spin while idle by default, which the other parts would pay for.
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none"
            .to_owned(),
    ];
    let mut args: Vec<_> = ["--mount", "--pid", "--fork", "--kill-child"]
        .map(Into::into)
        .to_vec();
    if !nix::unistd::Uid::effective().is_root() {
        args.push("--map-root-user".into());
    }
    args.extend(["sh", "-c", include_str!("rabbitmq.sh"), "clima-rabbitmq"].map(Into::into));
    args.extend([root.into(), data.clone().into()]);
    args.extend(env.map(Into::into));
    Ok(Launch {
        program: "unshare".into(),
        args,
        env: Vec::new(),
        folder: data,
        log: state.join("logs/rabbitmq.log"),
        leader: Some("beam.smp"),
    })
}

/// Runs `rabbitmqctl` where the broker with this process id lives, and returns what it prints.
pub(crate) async fn ctl(broker: u32, epmd: u16, args: &[&str]) -> anyhow::Result<String> {
    let mut command = Command::new("nsenter");
    command.args(["--target", &broker.to_string()]);
    if !nix::unistd::Uid::effective().is_root() {
        command.args(["--user", "--preserve-credentials"]);
    }
    command
        .args(["--mount", "--pid", "--root", "--wd", "env", "-i"])
        .args([
            &format!("HOME={HOME}"),
            "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG=C.UTF-8",
            &format!("ERL_EPMD_PORT={epmd}"),
            &format!("RABBITMQ_NODENAME={NODE}"),
        ])
        .args(["/usr/lib/rabbitmq/bin/rabbitmqctl", "--quiet"])
        .args(args)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = command.output().await?;
    ensure!(
        output.status.success(),
        "rabbitmqctl {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}
