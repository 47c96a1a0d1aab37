//! `counterfoil vectors`: conformance vectors, made and checked.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};
use counterfoil_vectors::check::{FileReport, Report};
use counterfoil_vectors::{VectorError, check, make};
use serde_json::{Value, json};

use crate::output::{Answer, Output, REFUSED, Trouble};

#[derive(Debug, Args)]
pub(crate) struct VectorsArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Feed every vector below a folder to this implementation and name what comes out otherwise
    Check {
        /// The folder
        dir: PathBuf,
    },
    /// Write every vector below a folder, the same to the last bit each time
    Make {
        /// The folder
        dir: PathBuf,
    },
}

pub(crate) fn run(args: &VectorsArgs, output: &Output) -> Result<u8> {
    match &args.command {
        Command::Check { dir } => {
            let report = check::check(dir).map_err(trouble)?;
            Ok(output.answer(&checked(&report)))
        }
        Command::Make { dir } => {
            let files = make::write(dir).map_err(trouble)?;
            let mut answer = Answer::default();
            answer.line(format!("{} files written below {}", files.len(), dir.display()));
            answer.set("files", files);
            Ok(output.answer(&answer))
        }
    }
}

fn trouble(error: VectorError) -> Trouble {
    let fault = match &error {
        VectorError::Io { .. } => "host",
        VectorError::Format { .. } | VectorError::Json(_) => "caller",
        VectorError::Refused { .. } | VectorError::Unexpected(_) => "caller",
    };
    let next = "name a folder of vectors, such as the one in the repository".to_owned();
    Trouble { name: "VectorsUnusable", fault, what: error.to_string(), next }
}

fn checked(report: &Report) -> Answer {
    let mut answer = Answer::default();
    answer.line(row("file", ["valid", "invalid", "steps", "differences"].map(str::to_owned)));
    for file in &report.files {
        answer.line(row(&file.file, counts(file).map(|count| count.to_string())));
    }
    let total = report.files.iter().map(counts).fold([0; 4], |sum, counts| {
        let mut sum = sum;
        sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        sum
    });
    answer.line(row("all", total.map(|count| count.to_string())));
    for file in &report.files {
        for difference in &file.differences {
            answer.complain(format!("{}: {difference}", file.file));
        }
    }
    let files: Vec<Value> = report.files.iter().map(|file| json!(file)).collect();
    answer.set("files", files);
    answer.set("holds", report.holds());
    answer.exit = if report.holds() { 0 } else { REFUSED };
    answer
}

fn counts(file: &FileReport) -> [usize; 4] {
    [file.valid, file.invalid, file.steps, file.differences.len()]
}

fn row(name: &str, cells: [String; 4]) -> String {
    let [valid, invalid, steps, differences] = cells;
    format!("{name:<30}{valid:>8}{invalid:>9}{steps:>7}{differences:>13}")
}
