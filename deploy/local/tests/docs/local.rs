//! The command line of `clima-local`, as it prints it.

use std::process::Command;

use crate::block::Block;

/// One block: the help of the command, and of each of its commands that has something to choose.
pub(crate) fn blocks() -> Vec<Block> {
    let all = help(&[]);
    let commands = all.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = commands
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        // A description goes on in a line that is further in.
        .filter(|name| !["", "help"].contains(name));
    let mut text = format!("```text\n{}\n```\n", all.trim());
    for name in names {
        let help = own(&help(&[name]));
        // Without arguments and options of its own it is told with one line in the list above.
        if !help
            .lines()
            .last()
            .is_some_and(|line| line.starts_with("Usage:"))
        {
            text += &format!("\n### clima-local {name}\n\n```text\n{help}\n```\n");
        }
    }
    vec![Block::new("clima-local", text)]
}

/// Away from a terminal it is wrapped at 100 columns.
fn help(command: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_clima-local"))
        .args(command)
        .arg("--help")
        .env_clear()
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The help of one command without the options that all commands have.
fn own(help: &str) -> String {
    let (mut kept, mut shared) = (Vec::new(), false);
    for line in help.trim().lines() {
        if line.trim_start().starts_with('-') {
            shared = ["--state-dir", "-h, --help"]
                .iter()
                .any(|option| line.trim_start().starts_with(option));
        } else if !line.starts_with(' ') && !line.is_empty() {
            if shared {
                // The one before it went with the options.
                kept.push("");
            }
            shared = false;
        }
        if !shared {
            kept.push(line);
        }
    }
    let kept = kept.join("\n");
    let kept = kept.trim();
    kept.strip_suffix("Options:")
        .unwrap_or(kept)
        .trim()
        .to_owned()
}
