//! Flags and environment, with all bad values reported at once.
//!
//! clap stops at the first bad value. A person who deploys a service wants to see them all, so the values
//! are first read as text, then each is checked by its own parser.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::builder::{OsStringValueParser, Resettable};
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, Command, Parser};

use crate::{healthcheck, sabotage};

/// Exit code of a process whose configuration is wrong: `EX_USAGE` of sysexits.h.
pub const EX_USAGE: u8 = 64;

/// Why there is no configuration.
#[derive(Debug)]
pub enum ConfigError {
    /// `--help` or `--version` was asked for; the text goes to standard output.
    Shown(clap::Error),
    /// The command line itself cannot be read.
    Usage(clap::Error),
    /// These settings are missing or wrong, one line each.
    Invalid(Vec<String>),
}

impl ConfigError {
    /// Tells the user, and gives the exit code: 0 for help, [`EX_USAGE`] otherwise.
    #[allow(clippy::print_stderr)]
    pub fn report(&self) -> ExitCode {
        match self {
            Self::Shown(text) => {
                // Nothing is left to do when standard output is closed.
                text.print().ok();
                return ExitCode::SUCCESS;
            }
            Self::Usage(error) => eprint!("{}", error.render()),
            Self::Invalid(problems) => {
                eprintln!("invalid configuration:");
                for problem in problems {
                    eprintln!("  {problem}");
                }
                eprintln!("see --help");
            }
        }
        ExitCode::from(EX_USAGE)
    }
}

/// Rules of a configuration that span several settings.
pub trait Check {
    /// One line for each broken rule.
    fn problems(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Reads the configuration from the command line and the environment.
///
/// # Errors
///
/// All missing and wrong settings at once.
pub fn load<C: Parser + Check>() -> Result<C, ConfigError> {
    load_from(std::env::args_os())
}

/// Reads the configuration from these arguments (the first is the program's name) and the environment.
///
/// # Errors
///
/// All missing and wrong settings at once.
pub fn load_from<C: Parser + Check>(
    args: impl IntoIterator<Item = OsString>,
) -> Result<C, ConfigError> {
    let args: Vec<OsString> = args.into_iter().collect();
    let mut command = C::command();
    command.build();
    let settings: Vec<Arg> = command
        .get_arguments()
        .filter(|arg| matches!(arg.get_action(), ArgAction::Set | ArgAction::Append))
        .cloned()
        .collect();

    let lenient =
        C::command()
            .after_help(healthcheck::HELP)
            .mut_args(|arg| match arg.get_action() {
                ArgAction::Set | ArgAction::Append => {
                    arg.required(false).value_parser(OsStringValueParser::new())
                }
                _ => arg,
            });
    let texts = lenient
        .try_get_matches_from(&args)
        .map_err(|error| match error.kind() {
            ErrorKind::DisplayHelp => {
                ConfigError::Shown(help(C::command(), &args).unwrap_or(error))
            }
            ErrorKind::DisplayVersion => ConfigError::Shown(error),
            _ => ConfigError::Usage(error),
        })?;

    let mut problems = Vec::from_iter(sabotage::problem());
    for setting in settings {
        match texts.get_many::<OsString>(setting.get_id().as_str()) {
            None if setting.is_required_set() => {
                problems.push(format!("{} is missing", name(&setting)));
            }
            None => {}
            Some(values) => problems.extend(values.filter_map(|value| problem(&setting, value))),
        }
    }
    if !problems.is_empty() {
        return Err(ConfigError::Invalid(problems));
    }
    let config = C::try_parse_from(&args).map_err(ConfigError::Usage)?;
    match config.problems() {
        problems if problems.is_empty() => Ok(config),
        problems => Err(ConfigError::Invalid(problems)),
    }
}

/// The help of the command as it is: one that reads any text does not know which values there are. None where a
/// wrong value stands before `--help`.
fn help(command: Command, args: &[OsString]) -> Option<clap::Error> {
    let error = command.try_get_matches_from(args).err()?;
    (error.kind() == ErrorKind::DisplayHelp).then_some(error)
}

/// What this setting's own parser says of a value.
fn problem(setting: &Arg, value: &OsString) -> Option<String> {
    let long = setting.get_long()?;
    let alone = setting
        .clone()
        .env(Resettable::Reset)
        .required(false)
        .default_value(Resettable::Reset);
    let mut flag = OsString::from(format!("--{long}="));
    flag.push(value);
    let error = Command::new("check")
        .arg(alone)
        .try_get_matches_from([OsString::from("check"), flag])
        .err()?;
    if setting.is_hide_env_values_set() {
        // What --help does not show is not shown here either: the value may hold a password. A parser of such a
        // setting must not repeat what it was given.
        let reason = std::error::Error::source(&error).map(ToString::to_string);
        let reason = reason.unwrap_or_else(|| "is not valid".to_owned());
        return Some(format!("{}: {reason}", name(setting)));
    }
    let text = error.render().to_string();
    let reason = text.lines().next().unwrap_or_default();
    let reason = reason.strip_prefix("error: ").unwrap_or(reason);
    Some(format!("{}: {reason}", name(setting)))
}

/// How a user may give the setting.
fn name(setting: &Arg) -> String {
    let long = setting
        .get_long()
        .unwrap_or_else(|| setting.get_id().as_str());
    match setting.get_env() {
        Some(env) => format!("--{long} ({})", env.to_string_lossy()),
        None => format!("--{long}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    #[derive(Debug, Parser)]
    struct Config {
        #[arg(long, env = "CLIMA_TEST_LISTEN", default_value = "127.0.0.1:1")]
        listen: SocketAddr,
        #[arg(long)]
        url: String,
        #[arg(long, default_value_t = 1)]
        low: u8,
        #[arg(long, default_value_t = 2)]
        high: u8,
        #[arg(long, hide_env_values = true, value_parser = secret)]
        secret: Option<String>,
        #[arg(long, value_parser = ["square", "oval"])]
        form: Option<String>,
    }

    fn secret(text: &str) -> Result<String, String> {
        match text {
            "open sesame" => Ok(text.to_owned()),
            _ => Err("not the word".to_owned()),
        }
    }

    impl Check for Config {
        fn problems(&self) -> Vec<String> {
            if self.low > self.high {
                return vec!["--low must not be above --high".to_owned()];
            }
            Vec::new()
        }
    }

    fn load(args: &[&str]) -> Result<Config, ConfigError> {
        let args = ["test"].iter().chain(args).map(OsString::from);
        load_from(args)
    }

    fn problems(args: &[&str]) -> Vec<String> {
        match load(args) {
            Err(ConfigError::Invalid(problems)) => problems,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn all_missing_and_wrong_settings_are_told_at_once() {
        let problems = problems(&["--listen", "here", "--low", "few"]);
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert!(problems[0].starts_with("--listen (CLIMA_TEST_LISTEN): invalid value 'here'"));
        assert_eq!(problems[1], "--url is missing");
        assert!(problems[2].starts_with("--low"));
    }

    #[test]
    fn a_rule_that_spans_settings_is_told_like_any_other() {
        assert_eq!(
            problems(&["--url", "u", "--low", "3"]),
            ["--low must not be above --high"]
        );
    }

    #[test]
    fn a_right_configuration_is_read_with_its_defaults() {
        let config = load(&["--url", "u"]).unwrap();
        assert_eq!(
            (config.listen.port(), config.url.as_str(), config.high),
            (1, "u", 2)
        );
    }

    #[test]
    fn a_wrong_value_that_help_would_hide_is_not_repeated() {
        assert_eq!(
            problems(&["--url", "u", "--secret", "hunter2"]),
            ["--secret: not the word"]
        );
        assert!(load(&["--url", "u", "--secret", "open sesame"]).is_ok());
    }

    #[test]
    fn help_names_the_values_that_a_setting_can_have() {
        let Err(ConfigError::Shown(help)) = load(&["--help"]) else {
            panic!("no help")
        };
        let help = help.render().to_string();
        assert!(help.contains("square") && help.contains("oval"), "{help}");
    }

    #[test]
    fn help_is_no_error_and_an_unknown_flag_is() {
        for args in [["--help"].as_slice(), &["--form", "round", "--help"]] {
            assert!(matches!(load(args), Err(ConfigError::Shown(_))), "{args:?}");
        }
        assert!(matches!(load(&["--nonsense"]), Err(ConfigError::Usage(_))));
    }
}
