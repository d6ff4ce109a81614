//! Reading a metric of a service.

use anyhow::ensure;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The sum of the values that this metric has, over all its labels, at the admin port at this `host:port`.
pub(crate) async fn metric(admin: &str, name: &str) -> anyhow::Result<u64> {
    let mut stream = TcpStream::connect(admin).await?;
    let request = format!("GET /metrics HTTP/1.0\r\nhost: {admin}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let values: Vec<_> = answer
        .lines()
        .filter_map(|line| {
            line.strip_prefix(name)?
                .strip_prefix('{')?
                .rsplit(' ')
                .next()
        })
        .collect();
    ensure!(!values.is_empty(), "{name} is missing");
    let mut sum = 0;
    for value in values {
        sum += value.trim().parse::<u64>()?;
    }
    Ok(sum)
}
