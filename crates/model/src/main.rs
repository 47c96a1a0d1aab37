//! Explores every scenario of the model and prints what holds.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use counterfoil_model::report::{Outcome, bites, print, run};
use counterfoil_model::scenario::scenarios;

/// Checks the trusted application and the operator's rules in every order of loss, duplication, delay and crash.
#[derive(Parser)]
struct Arguments {
    /// Wider bounds.
    #[arg(long)]
    long: bool,
    /// Only these scenarios.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// How many scenarios at a time.
    #[arg(long, value_name = "N", default_value_t = 2)]
    workers: usize,
    /// How long one scenario may take, seconds.
    #[arg(long, value_name = "S")]
    seconds: Option<u64>,
    /// Succeed only if this property is violated: for sources in which a rule was broken on purpose.
    #[arg(long, value_name = "PROPERTY")]
    expect: Option<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut chosen = scenarios(arguments.long);
    if let Some(unknown) =
        arguments.only.iter().find(|name| !chosen.iter().any(|scenario| scenario.name == *name))
    {
        let names: Vec<&str> = chosen.iter().map(|scenario| scenario.name).collect();
        eprintln!("there is no scenario {unknown}; there are {}", names.join(", "));
        return ExitCode::from(2);
    }
    if !arguments.only.is_empty() {
        chosen.retain(|scenario| arguments.only.iter().any(|name| name == scenario.name));
    }
    let seconds = arguments.seconds.unwrap_or(if arguments.long { 24 * 3600 } else { 900 });
    if let Some(property) = &arguments.expect {
        let time_max = Duration::from_secs(seconds);
        let caught = chosen.into_iter().find_map(|scenario| {
            bites(scenario.clone(), property, time_max).map(|steps| (scenario.name, steps))
        });
        return match caught {
            Some((scenario, steps)) => {
                println!("{scenario}, in {steps} steps: {property}");
                ExitCode::SUCCESS
            }
            None => ExitCode::FAILURE,
        };
    }
    let outcomes = run(chosen, arguments.workers.max(1), Duration::from_secs(seconds));
    print(&outcomes);
    if outcomes.iter().all(Outcome::is_good) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
