//! The Debian mirror that this machine's apt uses.

use std::fs;
use std::path::Path;

/// Used where apt names none, for example on another distribution.
const DEFAULT: &str = "http://deb.debian.org/debian";

/// The first mirror of Debian itself in apt's sources, which may be a local one.
pub(crate) fn debian() -> String {
    from_folder(Path::new("/etc/apt")).unwrap_or_else(|| DEFAULT.to_owned())
}

fn from_folder(apt: &Path) -> Option<String> {
    let mut files = vec![apt.join("sources.list")];
    let mut more: Vec<_> = fs::read_dir(apt.join("sources.list.d"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    more.sort();
    files.append(&mut more);
    files.into_iter().find_map(|file| {
        let text = fs::read_to_string(&file).ok()?;
        match file.extension()?.to_str()? {
            "list" => text.lines().find_map(from_line),
            "sources" => text.split("\n\n").find_map(from_stanza),
            _ => None,
        }
    })
}

/// One line of the older format: `deb [options] URI suite component…`.
fn from_line(line: &str) -> Option<String> {
    let rest = line.trim_start().strip_prefix("deb ")?.trim_start();
    let rest = match rest.strip_prefix('[') {
        Some(options) => options.split_once(']')?.1,
        None => rest,
    };
    let mut words = rest.split_ascii_whitespace();
    let uri = words.next()?;
    words.next()?;
    words
        .any(|component| component == "main")
        .then(|| debian_itself(uri))
        .flatten()
}

/// One stanza of deb822: `Types`, `URIs`, `Suites`, `Components`.
fn from_stanza(stanza: &str) -> Option<String> {
    let field = |name: &str| {
        stanza.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
        })
    };
    let has = |name, wanted| {
        field(name)?
            .split_ascii_whitespace()
            .find(|&word| word == wanted)
    };
    if field("Enabled").is_some_and(|value| value.eq_ignore_ascii_case("no")) {
        return None;
    }
    has("Types", "deb")?;
    has("Components", "main")?;
    field("URIs")?
        .split_ascii_whitespace()
        .find_map(debian_itself)
}

/// Keeps a mirror of Debian: its path ends in `/debian`, unlike debian-security's and foreign ones.
fn debian_itself(uri: &str) -> Option<String> {
    let uri = uri.trim_end_matches('/');
    let (scheme, rest) = uri.split_once("://")?;
    let fits =
        matches!(scheme, "http" | "https") && rest.contains('/') && rest.ends_with("/debian");
    fits.then(|| uri.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn security_and_foreign_sources_are_passed_over() {
        let apt = tempfile::tempdir().unwrap();
        let folder = apt.path().join("sources.list.d");
        fs::create_dir(&folder).unwrap();
        fs::write(
            folder.join("a.list"),
            "deb https://packages.example.org/apt stable main\n",
        )
        .unwrap();
        let sources = "Types: deb\nURIs: http://mirror.local/debian-security\nSuites: bookworm-security\n\
                       Components: main\n\nTypes: deb deb-src\n# a comment\nURIs: http://mirror.local/debian/\n\
                       Suites: bookworm bookworm-updates\nComponents: main\n";
        fs::write(folder.join("debian.sources"), sources).unwrap();
        assert_eq!(
            from_folder(apt.path()).as_deref(),
            Some("http://mirror.local/debian")
        );
    }

    #[test]
    fn a_line_may_have_options() {
        let line =
            "deb [arch=amd64 signed-by=/k.gpg] https://mirror.local/pub/debian bookworm main";
        assert_eq!(
            from_line(line).as_deref(),
            Some("https://mirror.local/pub/debian")
        );
        assert_eq!(
            from_line("# deb http://mirror.local/debian bookworm main"),
            None
        );
        assert_eq!(
            from_line("deb-src http://mirror.local/debian bookworm main"),
            None
        );
    }

    #[test]
    fn a_disabled_stanza_is_none() {
        let stanza = "Enabled: no\nTypes: deb\nURIs: http://m/debian\nSuites: x\nComponents: main";
        assert_eq!(from_stanza(stanza), None);
    }
}
