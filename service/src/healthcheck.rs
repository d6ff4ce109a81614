//! `NAME healthcheck`: asks the process of the same settings whether it is ready.
//!
//! For a container's health check: the images have no shell and no curl, and the container's environment
//! already says where the admin port is. No other setting is read, so none can fail it.

use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::config::EX_USAGE;
use crate::process::AdminConfig;

/// First argument that asks for the check.
pub const NAME: &str = "healthcheck";

/// Line for `--help` of every process.
pub const HELP: &str = "With `healthcheck` as the first argument it asks the process that runs with this \
                        CLIMA_ADMIN_LISTEN for /readyz, and ends with 0 when that is ready, with 1 when not.";

/// Longest time for connecting, and for each part of the answer. A process that is ready answers within milliseconds.
const TIMEOUT: Duration = Duration::from_secs(2);

/// No answer is longer than this many bytes: a status line, a few headers, the names of what is missing.
const LONGEST: u64 = 16 * 1024;

#[derive(Debug, Parser)]
struct Config {
    #[command(flatten)]
    admin: AdminConfig,
}

/// Runs the check when these arguments (the first is the program's name) ask for it.
pub fn requested(args: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let mut args = args.into_iter();
    let program = args.next()?;
    if args.next()? != NAME {
        return None;
    }
    Some(run([program].into_iter().chain(args)))
}

#[allow(clippy::print_stderr, clippy::print_stdout)]
fn run(args: impl Iterator<Item = OsString>) -> ExitCode {
    let config = match Config::try_parse_from(args) {
        Ok(config) => config,
        Err(error) => {
            // Nothing is left to do when the stream is closed.
            error.print().ok();
            return ExitCode::from(if error.use_stderr() { EX_USAGE } else { 0 });
        }
    };
    let address = reachable(config.admin.admin_listen);
    match ask(address) {
        Ok((true, said)) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Ok((false, said)) => {
            eprintln!("{said}");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("no answer from {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Where to reach a process of this machine that listens there: it may listen on all addresses.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other.ip(),
    };
    SocketAddr::new(ip, listen.port())
}

/// Whether `/readyz` answers 200, and its text.
fn ask(address: SocketAddr) -> std::io::Result<(bool, String)> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    // HTTP/1.0: the answer ends where the connection does.
    write!(stream, "GET /readyz HTTP/1.0\r\nhost: {address}\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(LONGEST).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.split_ascii_whitespace().nth(1);
    let text = answer.split_once("\r\n\r\n").map_or("", |(_, text)| text);
    Ok((status == Some("200"), text.trim_end().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin;
    use crate::readiness::Readiness;
    use prometheus_client::registry::Registry;
    use tokio::net::TcpListener;

    fn asked(args: &[&str]) -> Option<ExitCode> {
        requested(["clima-test"].iter().chain(args).map(OsString::from))
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_check_says_what_the_admin_port_says() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let readiness = Readiness::default();
        let kafka = readiness.part("kafka");
        let served = tokio::spawn(admin::serve(listener, readiness, vec![Registry::default()]));

        let check = || tokio::task::spawn_blocking(move || ask(address));
        let (ready, said) = check().await.unwrap().unwrap();
        assert!(!ready && said == "not ready: kafka", "{said}");
        kafka.set(true);
        let (ready, said) = check().await.unwrap().unwrap();
        assert!(ready && said == "ready", "{said}");

        let listen = address.to_string();
        let whole = move || asked(&[NAME, "--admin-listen", &listen]);
        let code = tokio::task::spawn_blocking(whole.clone()).await.unwrap();
        assert_eq!(code, Some(ExitCode::SUCCESS));
        served.abort();
        served.await.unwrap_err();
        let code = tokio::task::spawn_blocking(whole).await.unwrap();
        assert_eq!(code, Some(ExitCode::FAILURE));
    }

    #[test]
    fn only_the_first_argument_asks_for_it() {
        assert_eq!(asked(&[]), None);
        assert_eq!(asked(&["--log", NAME]), None);
        let wrong = asked(&[NAME, "--nonsense"]);
        assert_eq!(wrong, Some(ExitCode::from(EX_USAGE)));
    }

    #[test]
    fn a_process_that_listens_everywhere_is_asked_on_loopback() {
        let reach = |listen: &str| reachable(listen.parse().unwrap()).to_string();
        assert_eq!(reach("0.0.0.0:9090"), "127.0.0.1:9090");
        assert_eq!(reach("[::]:9090"), "[::1]:9090");
        assert_eq!(reach("192.0.2.7:1"), "192.0.2.7:1");
    }
}
