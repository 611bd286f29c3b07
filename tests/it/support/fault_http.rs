//! An HTTP client whose connection goes wrong on purpose, below the tries of the S3 client.
//!
//! [`FaultHttp`] goes around any connector: the S3 server in process, or a real client for a real
//! endpoint. Each request, retries included, is a call with a number from 1. Rules say what befalls
//! which call; the first that fits counts. All calls are kept for assertions. What is random comes
//! from the seed, but the order of concurrent calls is the runtime's: one call at a time repeats
//! exactly.
//!
//! A crash ends this client: [`FaultHttp::run`] drops the work that used it, and what survives in
//! other tasks waits for ever. Give each writer its own, made by [`FaultHttp::beside`].

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::aws::{AwsAuthorizer, AwsCredential};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};

use super::http_answers as answers;
use super::seeded::{Chance, CreateOnly, Life, Moment};

/// What befalls one call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    /// Not done; answered with this status and this code in the body. 200 is possible.
    Status(u16, &'static str),
    /// Not done: no connection.
    Refuse,
    /// Not done: the connection is lost with the request.
    LostBefore,
    /// Done, and the connection is lost with the answer.
    LostAfter,
    /// Done, and answered with 500.
    ServerErrorAfter,
    /// The connection is lost after so many bytes of the answer's body.
    CutBody(usize),
    /// Nothing comes after so many bytes of the answer's body, and the connection stays.
    StopBody(usize),
    /// This bit of the answer's body is flipped.
    FlipBit(usize),
    /// Done; the answer's body is not XML.
    BadXml,
    /// A listing lacks the keys that were written last, so many of them. Other calls are spared.
    HideNewest(usize),
    /// Done, this much later.
    Delay(Duration),
    /// Not done: no answer until the client gives up. Nobody waits for that: it has given up.
    Stall,
    /// The client dies. [`Moment::Late`] is for [`FaultStore`](super::fault_store::FaultStore)
    /// only, here it is as `Before`.
    Crash(Moment),
}

/// One request as it was sent.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) number: usize,
    pub(crate) method: String,
    pub(crate) key: String,
    pub(crate) query: String,
    /// It asks for a create-only put.
    pub(crate) create_only: bool,
    pub(crate) fault: Option<Fault>,
    /// What the client was answered, if it was.
    pub(crate) status: Option<u16>,
    /// The length of the answer, if it says one.
    pub(crate) bytes: Option<u64>,
}

type Fits = dyn Fn(&Call) -> bool + Send;

/// A fault for some of the calls that fit.
struct Rule {
    fits: Box<Fits>,
    /// So many that fit are spared first.
    spared: usize,
    /// So many are hit then.
    hits: usize,
    fault: Fault,
}

/// A connector that goes wrong on purpose. Clones are the same client.
#[derive(Clone)]
pub(crate) struct FaultHttp {
    base: Arc<dyn HttpConnector>,
    plan: Arc<Mutex<Plan>>,
    /// The keys written by this client and those beside it, oldest first.
    written: Arc<Mutex<Vec<String>>>,
    life: Life,
}

struct Plan {
    chance: Chance,
    rules: Vec<Rule>,
    rates: Vec<(f64, Fault)>,
    create_only: CreateOnly,
    /// To sign what is changed; with [`CreateOnly::Ignored`] only.
    secret: String,
    calls: Vec<Call>,
}

impl FaultHttp {
    /// A client of `base` to which nothing happens yet.
    pub(crate) fn over(base: Arc<dyn HttpConnector>) -> Self {
        let plan = Plan {
            chance: Chance::of(0),
            rules: Vec::new(),
            rates: Vec::new(),
            create_only: CreateOnly::Enforced,
            secret: String::new(),
            calls: Vec::new(),
        };
        let plan = Arc::new(Mutex::new(plan));
        Self { base, plan, written: Arc::default(), life: Life::new() }
    }

    /// Another client of the same server, with a life and rules of its own.
    pub(crate) fn beside(&self) -> Self {
        Self { written: Arc::clone(&self.written), ..Self::over(Arc::clone(&self.base)) }
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap()
    }

    fn rule(
        self,
        fits: impl Fn(&Call) -> bool + Send + 'static,
        (spared, hits): (usize, usize),
        fault: Fault,
    ) -> Self {
        self.plan().rules.push(Rule { fits: Box::new(fits), spared, hits, fault });
        self
    }

    /// `fault` befalls call `number`.
    pub(crate) fn at(self, number: usize, fault: Fault) -> Self {
        self.rule(move |call| call.number == number, (0, 1), fault)
    }

    /// `fault` befalls call `number` and all that follow.
    pub(crate) fn from(self, number: usize, fault: Fault) -> Self {
        self.rule(move |call| call.number >= number, (0, usize::MAX), fault)
    }

    /// `fault` befalls the `nth` call, counted from 1 and from now, of `method` on a key that
    /// contains `part`. An upload's end is a POST, a listing is a GET with the key "".
    pub(crate) fn nth(self, nth: usize, method: &'static str, part: &str, fault: Fault) -> Self {
        self.rule(of(method, part), (nth - 1, 1), fault)
    }

    /// `fault` befalls all calls of `method` on a key that contains `part`.
    pub(crate) fn each(self, method: &'static str, part: &str, fault: Fault) -> Self {
        self.rule(of(method, part), (0, usize::MAX), fault)
    }

    /// No listing is allowed.
    pub(crate) fn without_listing(self) -> Self {
        let fits = |call: &Call| call.query.contains("list-type=");
        self.rule(fits, (0, usize::MAX), Fault::Status(403, "AccessDenied"))
    }

    /// `fault` befalls `percent` of the calls that no rule fits, as `seed` decides.
    pub(crate) fn rate(self, percent: f64, fault: Fault) -> Self {
        self.plan().rates.push((percent, fault));
        self
    }

    /// The seed of the rates.
    pub(crate) fn seed(self, seed: u64) -> Self {
        self.plan().chance = Chance::of(seed);
        self
    }

    /// What the server makes of create-only puts. Without its header a request is signed anew, with
    /// this secret key.
    pub(crate) fn create_only(self, mode: CreateOnly, secret: &str) -> Self {
        self.plan().create_only = mode;
        self.plan().secret = secret.to_owned();
        self
    }

    /// From here on nothing goes wrong any more; the calls so far stay.
    pub(crate) fn heal(&self) {
        self.plan().rules.clear();
        self.plan().rates.clear();
    }

    /// The calls so far.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.plan().calls.clone()
    }

    /// The calls so far of `method` on a key that contains `part`.
    pub(crate) fn calls_of(&self, method: &'static str, part: &str) -> Vec<Call> {
        let fits = of(method, part);
        self.calls().into_iter().filter(fits).collect()
    }

    /// Runs what uses this client; `None` if it crashed.
    pub(crate) async fn run<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.life.run(work).await
    }
}

fn of(method: &'static str, part: &str) -> impl Fn(&Call) -> bool + Send + 'static {
    let part = part.to_owned();
    move |call| call.method == method && call.key.contains(&part)
}

impl Plan {
    /// Notes a call and says what befalls it.
    fn begin(&mut self, request: &HttpRequest) -> (usize, Option<Fault>) {
        let number = self.calls.len() + 1;
        let mut call = Call {
            number,
            method: request.method().to_string(),
            key: answers::key(request),
            query: request.uri().query().unwrap_or_default().to_owned(),
            create_only: request.headers().contains_key("if-none-match"),
            fault: None,
            status: None,
            bytes: None,
        };
        call.fault = self.rules.iter_mut().find_map(|rule| rule.befall(&call));
        for (percent, fault) in &self.rates {
            let hits = self.chance.hits(*percent);
            call.fault = call.fault.or(hits.then_some(*fault));
        }
        let fault = call.fault;
        self.calls.push(call);
        (number, fault)
    }
}

impl Rule {
    fn befall(&mut self, call: &Call) -> Option<Fault> {
        if self.hits == 0 || !(self.fits)(call) {
            return None;
        }
        if self.spared > 0 {
            self.spared -= 1;
            return None;
        }
        self.hits -= 1;
        Some(self.fault)
    }
}

impl fmt::Debug for FaultHttp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultHttp")
    }
}

impl HttpConnector for FaultHttp {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = self.base.connect(options)?;
        Ok(HttpClient::new(FaultService { client, faults: self.clone() }))
    }
}

#[derive(Debug)]
struct FaultService {
    client: HttpClient,
    faults: FaultHttp,
}

#[async_trait]
impl HttpService for FaultService {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        if self.faults.life.is_over() {
            return self.faults.life.die().await;
        }
        let (number, fault) = self.faults.plan().begin(&request);
        let answered = match fault {
            Some(fault) => self.call_with(fault, request).await,
            None => self.perform(request).await,
        };
        let status = answered.as_ref().ok().map(|answer| answer.status().as_u16());
        let length = answered
            .as_ref()
            .ok()
            .and_then(|answer| answer.headers().get("content-length")?.to_str().ok()?.parse().ok());
        let mut plan = self.faults.plan();
        (plan.calls[number - 1].status, plan.calls[number - 1].bytes) = (status, length);
        answered
    }
}

impl FaultService {
    async fn call_with(
        &self,
        fault: Fault,
        request: HttpRequest,
    ) -> Result<HttpResponse, HttpError> {
        match fault {
            Fault::Status(status, code) => Ok(answers::error(status, code)),
            Fault::Refuse => Err(answers::no_answer(HttpErrorKind::Connect)),
            Fault::LostBefore => Err(answers::no_answer(HttpErrorKind::Interrupted)),
            Fault::Stall => Err(answers::no_answer(HttpErrorKind::Timeout)),
            Fault::LostAfter => {
                self.perform(request).await?;
                Err(answers::no_answer(HttpErrorKind::Interrupted))
            }
            Fault::ServerErrorAfter => {
                self.perform(request).await?;
                Ok(answers::error(500, "InternalError"))
            }
            Fault::CutBody(kept) => answers::cut(self.perform(request).await?, kept).await,
            Fault::StopBody(kept) => answers::stop(self.perform(request).await?, kept).await,
            Fault::FlipBit(bit) => {
                let answer = self.perform(request).await?;
                answers::with_body(answer, |body| answers::flip(body, bit)).await
            }
            Fault::BadXml => {
                let answer = self.perform(request).await?;
                answers::with_body(answer, |_| b"<ListBucketResult><Contents>".to_vec()).await
            }
            Fault::HideNewest(_) if !is_listing(&request) => self.perform(request).await,
            Fault::HideNewest(count) => {
                let written = self.faults.written.lock().unwrap().clone();
                let hidden = &written[written.len().saturating_sub(count)..];
                let answer = self.perform(request).await?;
                answers::with_body(answer, |body| answers::without(body, hidden)).await
            }
            Fault::Delay(time) => {
                tokio::time::sleep(time).await;
                self.perform(request).await
            }
            Fault::Crash(Moment::Before | Moment::Late) => self.faults.life.die().await,
            Fault::Crash(Moment::After) => {
                self.perform(request).await?;
                self.faults.life.die().await
            }
        }
    }

    /// Makes the call, as far as the server knows create-only puts.
    async fn perform(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        if request.headers().contains_key("if-none-match") {
            let (mode, secret) = {
                let plan = self.faults.plan();
                (plan.create_only, plan.secret.clone())
            };
            match mode {
                CreateOnly::Enforced => {}
                CreateOnly::Ignored => {
                    request.headers_mut().remove("if-none-match");
                    sign(&mut request, secret);
                }
                CreateOnly::Refused => return Ok(answers::error(501, "NotImplemented")),
            }
        }
        let query = request.uri().query().unwrap_or_default();
        let writes = match request.method().as_str() {
            "PUT" => !query.contains("partNumber="),
            "POST" => query.contains("uploadId="),
            _ => false,
        };
        let key = answers::key(&request);
        let answer = self.client.execute(request).await?;
        if writes && answer.status().is_success() {
            let mut written = self.faults.written.lock().unwrap();
            written.retain(|other| *other != key);
            written.push(key);
        }
        Ok(answer)
    }
}

fn is_listing(request: &HttpRequest) -> bool {
    request.uri().query().is_some_and(|query| query.contains("list-type="))
}

/// Signs a changed request with the key it was signed with, whose secret this is.
fn sign(request: &mut HttpRequest, secret: String) {
    let header = |name: &str| Some(request.headers().get(name)?.to_str().unwrap().to_owned());
    let Some(old) = header("authorization") else { return };
    let scope = old.split_once("Credential=").and_then(|(_, rest)| rest.split_once(','));
    let scope: Vec<_> = scope.unwrap().0.split('/').collect(); // key, date, region, service
    let (key_id, region) = (scope[0].to_owned(), scope[2].to_owned());
    let hash = header("x-amz-content-sha256").unwrap();
    let digit = |at: usize| u8::from_str_radix(&hash[at..at + 2], 16).unwrap();
    let digest: Vec<u8> = (0..hash.len()).step_by(2).map(digit).collect();
    let token = header("x-amz-security-token");
    let credential = AwsCredential { key_id, secret_key: secret, token };
    AwsAuthorizer::new(&credential, "s3", &region).authorize(request, Some(&digest));
}
