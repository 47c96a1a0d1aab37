//! The way to the operator: a port, and the HTTP API behind it.

use std::time::Duration;

use counterfoil_trust::sha256;
use counterfoil_wire::cert::RootCert;
use counterfoil_wire::{Code, Nonce, Wire};
use serde::{Deserialize, Serialize};

use crate::error::{OperatorError, Problem};

/// The largest answer that is read, in bytes: a settlement in hex, and room around it.
const ANSWER_BYTES_MAX: u64 = 2 * counterfoil_wire::codec::OBJECT_MAX as u64 + 4096;

/// How long one exchange may take.
const EXCHANGE_TIME_MAX: Duration = Duration::from_secs(30);

/// How long a busy operator is waited for, all in all, before the person is told.
const BUSY_TIME_MAX: Duration = Duration::from_secs(60);

/// What an operator says of itself. Nothing in it is believed but after a check against a trusted root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scheme {
    /// Name of the scheme.
    pub name: String,
    /// Letters of its currency.
    pub currency: String,
    /// Whether it is for trying things out, with a simulated rail.
    pub sandbox: bool,
    /// Its PSPs.
    pub psps: Vec<String>,
    /// Its root.
    pub root: RootCert,
}

/// The operator, as a wallet needs it. Each call may be repeated with the same arguments, and then does nothing more.
pub trait Operator {
    /// What the operator says of itself.
    ///
    /// # Errors
    /// [`OperatorError`]; so in all methods.
    fn scheme(&self) -> Result<Scheme, OperatorError>;

    /// A challenge for an enrolment, which must be given in soon.
    fn challenge(&self) -> Result<Nonce, OperatorError>;

    /// Gives an enrolment in; returns the settlement that answers it.
    fn enrol(&self, enrolment: &NewWallet<'_>) -> Result<Vec<u8>, OperatorError>;

    /// Gives a fund order in; `Ok(true)` if it is granted.
    fn fund(&self, order: &[u8]) -> Result<bool, OperatorError>;

    /// Gives a statement in; returns the settlement that answers it.
    fn settle(&self, statement: &[u8]) -> Result<Vec<u8>, OperatorError>;
}

/// What a PSP needs to know to let a new wallet in.
#[derive(Debug, Clone, Copy)]
pub struct NewWallet<'a> {
    /// Name of the PSP.
    pub psp: &'a str,
    /// The account behind the wallet.
    pub account: &'a str,
    /// The code that the PSP gave to its customer, where it asks for one.
    pub activation_code: Option<&'a str>,
    /// The enrolment message.
    pub enrolment: &'a [u8],
    /// What a platform attests of the wallet's counter for the SHA-256 of the enrolment: certificates as DER, the leaf first.
    pub attestation: Option<&'a [Vec<u8>]>,
}

/// The operator's HTTP API.
pub struct HttpOperator {
    url: String,
    agent: ureq::Agent,
}

impl std::fmt::Debug for HttpOperator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpOperator").field("url", &self.url).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct SchemeAnswer {
    name: String,
    currency: String,
    sandbox: bool,
    psps: Vec<PspAnswer>,
    #[serde(with = "hex::serde")]
    root: Vec<u8>,
}

/// A PSP by name, or with more about it.
#[derive(Deserialize)]
#[serde(untagged)]
enum PspAnswer {
    Name(String),
    Described { name: String },
}

#[derive(Serialize)]
struct EnrolmentAsked<'a> {
    psp: &'a str,
    account: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    activation_code: Option<&'a str>,
    #[serde(with = "hex::serde")]
    enrolment: &'a [u8],
    /// In hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    attestation: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct ChallengeAnswer {
    #[serde(with = "hex::serde")]
    challenge: [u8; 16],
}

#[derive(Serialize)]
struct FundingAsked<'a> {
    #[serde(with = "hex::serde")]
    order: &'a [u8],
}

#[derive(Deserialize)]
struct FundingAnswer {
    granted: bool,
}

#[derive(Serialize)]
struct StatementAsked<'a> {
    #[serde(with = "hex::serde")]
    statement: &'a [u8],
}

#[derive(Deserialize)]
struct SettlementAnswer {
    #[serde(with = "hex::serde")]
    settlement: Vec<u8>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ProblemAnswer {
    title: String,
    detail: Option<String>,
    code: Option<u16>,
    next: Option<String>,
}

impl HttpOperator {
    /// The operator at `url`, such as `http://127.0.0.1:8600`.
    pub fn new(url: &str) -> Self {
        let url = url.trim_end_matches('/').to_owned();
        let mut config = ureq::Agent::config_builder()
            .timeout_global(Some(EXCHANGE_TIME_MAX))
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!("counterfoil-wallet/", env!("CARGO_PKG_VERSION")));
        if is_loopback(&url) {
            config = config.proxy(None);
        }
        Self { agent: config.build().into(), url }
    }

    fn get<T: for<'de> Deserialize<'de>>(&self, path: &str) -> Result<T, OperatorError> {
        let answer = self.agent.get(self.address(path)?).call();
        self.read(answer)
    }

    /// `key` makes the request one operation however often it arrives: the digest of the signed bytes in it.
    fn post<T: for<'de> Deserialize<'de>>(
        &self,
        path: &str,
        key: Option<&[u8]>,
        body: &impl Serialize,
    ) -> Result<T, OperatorError> {
        let body = serde_json::to_vec(body).map_err(|error| self.malformed(&error))?;
        let mut waited = Duration::ZERO;
        loop {
            let mut request = self.agent.post(self.address(path)?).header("Content-Type", "application/json");
            if let Some(signed) = key {
                request = request.header("Idempotency-Key", sha256(signed).to_string());
            }
            let answer = request.send(&body[..]);
            match answer.as_ref().ok().and_then(busy_for).filter(|wait| waited + *wait <= BUSY_TIME_MAX) {
                Some(wait) => {
                    std::thread::sleep(wait);
                    waited += wait;
                }
                None => return self.read(answer),
            }
        }
    }

    fn address(&self, path: &str) -> Result<String, OperatorError> {
        let wants_tls = self.url.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:"));
        if wants_tls {
            return Err(OperatorError::NoTls { url: self.url.clone() });
        }
        Ok(format!("{}{path}", self.url))
    }

    fn read<T: for<'de> Deserialize<'de>>(
        &self,
        answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<T, OperatorError> {
        let unreachable = |error: ureq::Error| match error {
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => self.malformed(&error),
            _ => OperatorError::Unreachable { url: self.url.clone(), reason: error.to_string() },
        };
        let mut answer = answer.map_err(unreachable)?;
        let status = answer.status();
        let bytes =
            answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec().map_err(unreachable)?;
        if status.is_success() {
            return serde_json::from_slice(&bytes).map_err(|error| self.malformed(&error));
        }
        let problem: ProblemAnswer = serde_json::from_slice(&bytes).unwrap_or_default();
        let title = match (problem.detail, problem.title) {
            (Some(detail), _) if !detail.is_empty() => detail,
            (_, title) if !title.is_empty() => title,
            _ => status.canonical_reason().unwrap_or("no reason given").to_owned(),
        };
        let code = problem.code.and_then(Code::from_number);
        Err(OperatorError::Refused(Problem {
            status: status.as_u16(),
            code,
            title: printable(&title),
            next: problem.next.as_deref().map(printable),
        }))
    }

    fn malformed(&self, error: &dyn std::fmt::Display) -> OperatorError {
        OperatorError::Malformed { url: self.url.clone(), reason: printable(&error.to_string()) }
    }
}

impl Operator for HttpOperator {
    fn scheme(&self) -> Result<Scheme, OperatorError> {
        let answer: SchemeAnswer = self.get("/v1/scheme")?;
        let root = RootCert::from_bytes(&answer.root).map_err(|error| self.malformed(&error))?;
        let psp = |psp| match psp {
            PspAnswer::Name(name) | PspAnswer::Described { name } => printable(&name),
        };
        Ok(Scheme {
            name: printable(&answer.name),
            currency: printable(&answer.currency),
            sandbox: answer.sandbox,
            psps: answer.psps.into_iter().map(psp).collect(),
            root,
        })
    }

    fn challenge(&self) -> Result<Nonce, OperatorError> {
        let answer: ChallengeAnswer = self.post("/v1/enrolments/challenge", None, &serde_json::json!({}))?;
        Ok(Nonce(answer.challenge))
    }

    fn enrol(&self, new: &NewWallet<'_>) -> Result<Vec<u8>, OperatorError> {
        let NewWallet { psp, account, activation_code, enrolment, attestation } = *new;
        let attestation = attestation.map(|chain| chain.iter().map(hex::encode).collect());
        let body = EnrolmentAsked { psp, account, activation_code, enrolment, attestation };
        let answer: SettlementAnswer = self.post("/v1/enrolments", Some(enrolment), &body)?;
        Ok(answer.settlement)
    }

    fn fund(&self, order: &[u8]) -> Result<bool, OperatorError> {
        let answer: FundingAnswer = self.post("/v1/fundings", Some(order), &FundingAsked { order })?;
        Ok(answer.granted)
    }

    fn settle(&self, statement: &[u8]) -> Result<Vec<u8>, OperatorError> {
        let answer: SettlementAnswer =
            self.post("/v1/statements", Some(statement), &StatementAsked { statement })?;
        Ok(answer.settlement)
    }
}

/// For how long an operator that has too much to do asks to be left alone (RFC 9110 section 10.2.3): nothing was done.
fn busy_for(answer: &ureq::http::Response<ureq::Body>) -> Option<Duration> {
    let busy = answer.status() == ureq::http::StatusCode::TOO_MANY_REQUESTS;
    let seconds = answer.headers().get("Retry-After").filter(|_| busy)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// An operator on this computer is never behind a proxy, whatever the environment says.
fn is_loopback(url: &str) -> bool {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest).split('/').next().unwrap_or_default();
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    host == "localhost" || host == "[::1]" || host.starts_with("127.")
}

/// What a stranger wrote, fit for a terminal.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_told_from_the_rest() {
        for url in ["http://127.0.0.1:80", "http://localhost", "http://[::1]:9/v1", "http://127.1.2.3/"] {
            assert!(is_loopback(url), "{url}");
        }
        for url in ["http://example.org:127", "http://localhost.example.org", "http://10.0.0.1"] {
            assert!(!is_loopback(url), "{url}");
        }
    }

    #[test]
    fn an_operator_that_is_busy_is_asked_again_when_it_says_and_not_for_ever() {
        use std::io::{Read as _, Write as _};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answer = |status: &str, headers: &str, body: &str| {
            format!(
                "HTTP/1.1 {status}\r\n{headers}connection: close\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            )
        };
        let busy = |wait: &str| {
            answer("429 Too Many Requests", &format!("retry-after: {wait}\r\n"), "{\"code\":620}")
        };
        let answers = [busy("0"), busy("0"), answer("200 OK", "", "{\"settlement\":\"a5\"}"), busy("86400")];
        let server = std::thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut asked = [0; 4096];
                while !String::from_utf8_lossy(&asked).contains("statement") {
                    assert!(stream.read(&mut asked).unwrap() > 0);
                }
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        let operator = HttpOperator::new(&url);
        assert_eq!(operator.settle(&[1]).unwrap(), [0xa5]);
        let Err(OperatorError::Refused(problem)) = operator.settle(&[1]) else { panic!("it waited a day") };
        assert_eq!((problem.status, problem.code), (429, Some(Code::Busy)));
        server.join().unwrap();
    }

    #[test]
    fn an_operator_that_is_not_there_is_unreachable_and_https_is_said_to_be_missing() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let gone = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        assert!(matches!(HttpOperator::new(&gone).scheme(), Err(OperatorError::Unreachable { .. })));
        assert!(matches!(
            HttpOperator::new("https://127.0.0.1:1").scheme(),
            Err(OperatorError::NoTls { .. })
        ));
        assert!(matches!(HttpOperator::new("no url").scheme(), Err(OperatorError::Malformed { .. })));
    }
}
