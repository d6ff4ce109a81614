//! The ports of the local stack.

use clima_local::{Part, fixed_ports};

use crate::block::{Block, table};

/// One row for each part, servers last.
pub(crate) fn blocks() -> Vec<Block> {
    let ports = fixed_ports();
    let mut roles: Vec<&str> = Vec::new();
    for (_, role, _) in &ports {
        if !roles.contains(role) {
            roles.push(role);
        }
    }
    let row = |part: Part| {
        let port = |role: &&str| {
            ports
                .iter()
                .find(|(of, what, _)| (*of, what) == (part, role))
                .map_or_else(|| "–".to_owned(), |(_, _, port)| port.to_string())
        };
        let mut row = vec![format!("`{part}`")];
        row.extend(roles.iter().map(port));
        row
    };
    let rows: Vec<_> = Part::ALL.into_iter().map(row).collect();
    let head: Vec<&str> = [&["part"], roles.as_slice()].concat();
    vec![Block::new("ports", table(&head, &rows))]
}
