//! A collector of OpenTelemetry on loopback, as small as one can be: it takes spans over HTTP and remembers them.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use prost::Message as _;

/// A span, as it was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// Which process told it.
    pub(crate) service: String,
    pub(crate) name: String,
    /// Ids, in hexadecimal digits.
    pub(crate) trace: String,
    pub(crate) span: String,
    pub(crate) parent: String,
}

/// The collector. It listens for as long as the test process lives.
pub(crate) struct Collector {
    address: SocketAddr,
    told: Arc<Mutex<Vec<Step>>>,
}

impl Collector {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let told = Arc::<Mutex<Vec<Step>>>::default();
        let keeping = Arc::clone(&told);
        std::thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let keeping = Arc::clone(&keeping);
                std::thread::spawn(move || take(&connection, &keeping));
            }
        });
        Self { address, told }
    }

    /// The section of a configuration that has spans sent here.
    pub(crate) fn config(&self) -> String {
        format!(
            "[otlp]\nendpoint = \"http://{}/v1/traces\"\ngather_ms = 50\n",
            self.address
        )
    }

    /// What was told of a trace so far.
    pub(crate) fn told_of(&self, trace: &str) -> Vec<Step> {
        let told = self.told.lock().unwrap();
        told.iter().filter(|step| step.trace == trace).cloned().collect()
    }
}

/// Takes one request after another, until the other side has no more.
fn take(connection: &TcpStream, told: &Mutex<Vec<Step>>) {
    let mut requests = BufReader::new(connection);
    while let Some(body) = body(&mut requests) {
        let request = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
        told.lock()
            .unwrap()
            .extend(request.resource_spans.into_iter().flat_map(steps));
        let mut answer = connection;
        answer
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n")
            .unwrap();
    }
}

/// The body of the next request; none at the end of the connection.
fn body(requests: &mut BufReader<&TcpStream>) -> Option<Vec<u8>> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if requests.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    assert!(head.starts_with("POST /v1/traces "), "{head}");
    let head = head.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let mut body = vec![0; length.unwrap().trim().parse().unwrap()];
    requests.read_exact(&mut body).ok()?;
    Some(body)
}

fn steps(told: ResourceSpans) -> impl Iterator<Item = Step> {
    let attributes = told.resource.unwrap_or_default().attributes;
    let service = attributes.into_iter().find(|attribute| attribute.key == "service.name");
    let service = match service.and_then(|service| service.value?.value) {
        Some(Value::StringValue(service)) => service,
        other => panic!("no name of a service: {other:?}"),
    };
    let spans = told.scope_spans.into_iter().flat_map(|scope| scope.spans);
    spans.map(move |span| Step {
        service: service.clone(),
        name: span.name,
        trace: hexadecimal(&span.trace_id),
        span: hexadecimal(&span.span_id),
        parent: hexadecimal(&span.parent_span_id),
    })
}

fn hexadecimal(id: &[u8]) -> String {
    let mut digits = String::new();
    for byte in id {
        write!(digits, "{byte:02x}").unwrap();
    }
    digits
}
