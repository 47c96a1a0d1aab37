//! One story, told once to number the calls of one process in it, and again for each call at which that is killed.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crate::durability;
use crate::stage::{Books, Stage};
use crate::tracer::{Call, Kind, Mode, Point};

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    /// The command, where there is no operator.
    Offline,
    /// The command, while the operator serves.
    Online,
    /// The operator, which serves the command. The numbers begin at its start.
    Operator,
}

/// What a person does after the kill.
#[derive(Debug, Clone, Copy)]
pub enum Again {
    /// The same command.
    Same,
    /// Another command.
    Other(&'static str),
    /// The same command, unless the killed one has said `word`, or the command `look` says that it finished it.
    UnlessTold { look: &'static str, word: &'static str },
}

/// A story. Lines are as in [`Stage::run`]; one that begins with `3|` must exit with 3, and with another digit likewise.
#[derive(Debug, Clone)]
pub struct Scenario {
    pub name: &'static str,
    /// What comes before, while an operator serves if there is one.
    pub before: Vec<String>,
    /// The line that is interrupted.
    pub line: String,
    pub victim: Victim,
    /// What the line exits with.
    pub code: i32,
    pub again: Again,
    /// In the short form, every how many calls there is a kill.
    pub stride: usize,
    /// What comes after, while the operator serves.
    pub after: Vec<String>,
    /// Home and minor units, at the end.
    pub homes: Vec<(&'static str, u64)>,
    pub funded: i64,
    pub defunded: i64,
    pub payments: u64,
}

/// How many of the points are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Before and after each call, and in the middle of each write; and what recovers is killed as well, once.
    Long,
    /// At every `stride`th call and at the last one, before it or in the middle of it by turns.
    Short { stride: usize },
}

impl Form {
    fn of(scenario: &Scenario) -> Self {
        match std::env::var("COUNTERFOIL_KILL").as_deref() {
            Ok("long") => Self::Long,
            Ok(other) => panic!("COUNTERFOIL_KILL is {other:?}; it can be `long`"),
            Err(_) => Self::Short { stride: scenario.stride },
        }
    }

    /// The points that are tried, of `calls`.
    fn points(self, calls: &[Call]) -> Vec<Point> {
        let mut points = Vec::new();
        for (index, call) in calls.iter().enumerate() {
            let number = index + 1;
            let has_middle = call.kind != Kind::Step && call.name != "sendmsg";
            let mut add = |mode| points.push(Point { number, mode });
            match self {
                Self::Long => {
                    add(Mode::Before);
                    if has_middle {
                        add(Mode::Middle);
                    }
                    add(Mode::After);
                }
                Self::Short { .. } if number == calls.len() => add(Mode::After),
                // What is on disk before a call is what the call before it left: one of the two is enough.
                Self::Short { stride } if number % stride == 0 => {
                    let middle = has_middle && (number / stride) % 2 == 0;
                    add(if middle { Mode::Middle } else { Mode::Before });
                }
                Self::Short { .. } => {}
            }
        }
        points
    }
}

/// What one telling came to.
struct Told {
    calls: Vec<Call>,
    killed: bool,
}

impl Scenario {
    /// Kills at each point, and prints one line. Every failure is told, not the first alone.
    pub fn run(&self) {
        if !cfg!(target_os = "linux") {
            let _ = writeln!(
                std::io::stderr(),
                "kill: {}: skipped, calls are numbered on Linux alone",
                self.name
            );
            return;
        }
        let begun = Instant::now();
        let mut stage = Stage::new();
        {
            let mut serving = None;
            for line in &self.before {
                expect(&mut stage, line);
                if serving.is_none() && stage.path("op").exists() {
                    serving = Some(stage.serve());
                }
            }
        }
        if stage.path("op").exists() {
            // Closes the database, so that each telling begins with the same files.
            stage.run("operator audit --dir op").ok();
        }
        stage.keep();
        let whole = self.tell(&mut stage, None, None);
        durability::check(&whole.calls, &stage.path(""));
        let form = Form::of(self);
        let points = form.points(&whole.calls);
        let (mut killed, mut failures) = (0, Vec::new());
        for (turn, &point) in points.iter().enumerate() {
            let again = (form == Form::Long)
                .then(|| Point { number: 1 + (turn * 7) % whole.calls.len(), mode: Mode::Before });
            stage.restore();
            match catch_unwind(AssertUnwindSafe(|| self.tell(&mut stage, Some(point), again))) {
                Ok(told) => killed += usize::from(told.killed),
                Err(_) => failures.push((point, whole.calls[point.number - 1].clone())),
            }
        }
        // Past the test harness, which keeps what a test prints that passes.
        let line = self.summary(&whole.calls, &points, killed, failures.len(), begun.elapsed());
        let _ = writeln!(std::io::stderr(), "{line}");
        let mut told = String::new();
        for (point, call) in &failures {
            let _ = write!(told, "\n  {point:?}: {call:?}");
        }
        assert!(failures.is_empty(), "{}: {} kills are not recovered from:{told}", self.name, failures.len());
        // Threads of an operator take turns as they like, so that it may make a call less. A command may not.
        let spared = if self.victim == Victim::Operator { points.len() / 4 } else { 0 };
        assert!(killed + spared >= points.len(), "{}: {killed} of {} killed", self.name, points.len());
    }

    fn summary(
        &self,
        calls: &[Call],
        points: &[Point],
        killed: usize,
        failed: usize,
        took: Duration,
    ) -> String {
        let of = |kind| calls.iter().filter(|call| call.kind == kind).count();
        let numbers: BTreeSet<usize> = points.iter().map(|point| point.number).collect();
        let which = match Form::of(self) {
            Form::Short { stride } if stride > 1 => format!("each number divisible by {stride} and the last"),
            _ => "each number".to_owned(),
        };
        format!(
            "kill: {}: N = {} ({} writes, {} sends, {} steps); {which}: {} of {}, {killed} kills{}, {}; {:.1} s",
            self.name,
            calls.len(),
            of(Kind::Write),
            of(Kind::Send),
            of(Kind::Step),
            numbers.len(),
            calls.len(),
            match points.len() - killed - failed {
                0 => String::new(),
                late => format!(" ({late} numbers were not reached)"),
            },
            match failed {
                0 => "all recovered".to_owned(),
                failed => format!("{failed} NOT RECOVERED"),
            },
            took.as_secs_f64()
        )
    }

    /// Tells the story: whole, or killed at `point`, and then with the recovery killed at `again` before the last one.
    fn tell(&self, stage: &mut Stage, point: Option<Point>, again: Option<Point>) -> Told {
        let recovery = match self.again {
            Again::Same => &self.line,
            Again::Other(line) | Again::UnlessTold { look: line, .. } => line,
        };
        let mut said = String::new();
        let (told, mut serving) = match self.victim {
            Victim::Operator => {
                let mut gave = None;
                let traced = stage.serve_traced(point);
                if let Some(mut traced) = traced {
                    gave = Some(stage.run(&self.line));
                    // What the operator does when its answer has left.
                    let settled = Instant::now();
                    while !traced.has_ended() && settled.elapsed() < Duration::from_millis(30) {
                        std::thread::sleep(Duration::from_millis(2));
                    }
                    traced.end();
                }
                let report = stage.report();
                // What an operator finishes when it starts.
                if again.is_some()
                    && let Some(mut traced) = stage.serve_traced(again)
                {
                    traced.end();
                }
                if !report.killed {
                    gave.unwrap().exits(self.code);
                }
                (Told { calls: report.calls, killed: report.killed }, Some(stage.serve()))
            }
            victim => {
                let serving = (victim == Victim::Online).then(|| stage.serve());
                let (gave, report) = stage.run_traced(point, &self.line);
                said = gave.out.clone();
                if !report.killed {
                    gave.exits(self.code);
                }
                if again.is_some() {
                    said.push_str(&stage.run_traced(again, recovery).0.out);
                }
                (Told { calls: report.calls, killed: report.killed }, serving)
            }
        };
        let left = self.message(stage);
        self.recover(stage, recovery, &said);
        // Somebody may have taken it before the kill.
        assert!(left.is_none() || left == self.message(stage), "a message that had left was changed");
        if serving.is_none() {
            serving = Some(stage.serve());
        }
        for line in &self.after {
            expect(stage, line);
        }
        if let Some(mut serving) = serving {
            serving.end();
        }
        stage.check(&Books {
            homes: self.homes.iter().map(|(home, minor)| ((*home).to_owned(), *minor)).collect(),
            funded: self.funded,
            defunded: self.defunded,
            payments: self.payments,
        });
        told
    }

    /// What stands where the line writes its message. News may change, money may not.
    fn message(&self, stage: &Stage) -> Option<Vec<u8>> {
        let mut words = self.line.split_whitespace().skip_while(|word| *word != "--out");
        let name = words.nth(1).filter(|_| !self.line.contains(" gossip "))?;
        std::fs::read(stage.path(name)).ok()
    }

    /// What a person does after the kill. `said` is what was on the screen by then.
    fn recover(&self, stage: &mut Stage, recovery: &str, said: &str) {
        let gave = stage.run(recovery);
        match self.again {
            Again::Same => {
                // Of what was done and told before there is nothing to do a second time.
                let done_before = gave.err.contains("error 501") || gave.err.contains("op exists");
                assert!(
                    gave.code == self.code || done_before,
                    "run again it exits with {}: {}{}",
                    gave.code,
                    gave.out,
                    gave.err
                );
            }
            Again::Other(_) => {
                gave.ok();
            }
            Again::UnlessTold { word, .. } => {
                let finished = gave.ok().json()["finished"].as_array().cloned().unwrap_or_default();
                let told =
                    said.contains(word) || said.contains("\"done\":true") || said.contains("\"done\": true");
                if !told && !finished.iter().any(|one| one["done"] == true) {
                    stage.run(&self.line).exits(self.code);
                }
            }
        }
    }
}

/// Runs a line, which must exit as it says.
#[track_caller]
fn expect(stage: &mut Stage, line: &str) {
    let (code, line) = match line.split_once('|') {
        Some((code, line)) => (code.parse().unwrap(), line),
        None => (0, line),
    };
    let gave = stage.run(line);
    assert_eq!(gave.code, code, "{line}: {}{}", gave.out, gave.err);
}
