//! How a tool server is reached: a program's pipes or an address, in whichever era it speaks.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use callboard_config::ExposeSecret;
use callboard_config::servers::{Reach, ToolServer};
use http::{HeaderName, HeaderValue};
use rmcp::ClientHandler;
use rmcp::model::{ClientCapabilities, ClientConfig, Implementation, ProtocolVersion};
use rmcp::service::{
    ClientInitializeError, ClientLifecycleMode, ClientServiceExt, NotificationContext, RoleClient,
    RunningService,
};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use tokio::time::timeout;

use super::child::{LINE_MAX, Program, spawn};
use crate::toolbox::egress::client_to;
use crate::toolbox::kept::Keeper;

/// Longest start of a server, its greeting included.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// An open line.
pub(super) struct Connection {
    pub(super) service: RunningService<RoleClient, Us>,
    /// The program at its other end, if there is one of ours.
    pub(super) program: Option<Program>,
}

/// What we are to a server. Its tools may answer with tasks and questions; what it asks by itself, in
/// the older eras, is declined: nothing says which call it belongs to.
#[derive(Clone, Default)]
pub(super) struct Us(Arc<AtomicU32>);

impl Us {
    /// How often the server said that its tools are others now.
    pub(super) fn count(&self) -> u32 {
        self.0.load(Ordering::Acquire)
    }
}

impl ClientHandler for Us {
    fn get_info(&self) -> ClientConfig {
        let us = Implementation::new("callboard", env!("CARGO_PKG_VERSION"));
        let can = ClientCapabilities::builder().enable_tasks().enable_elicitation().build();
        ClientConfig::new(can, us).with_protocol_version(ProtocolVersion::V_2025_11_25)
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

/// Opens a line. Whether the server speaks only the older eras is kept in `is_old`: it is asked
/// once, since some end at a first word that they do not know.
pub(super) async fn connect(
    server: &ToolServer,
    keeper: Option<&Keeper>,
    traceparent: &str,
    is_old: &mut bool,
) -> Result<Connection, String> {
    let opened = async {
        if !*is_old {
            match open(server, keeper, traceparent, auto()).await {
                Ok(connection) => {
                    let version = connection.service.peer().peer_info();
                    *is_old = version.is_some_and(|it| it.protocol_version.has_initialize());
                    return Ok(connection);
                }
                Err(Closed::Early(why)) => return Err(why),
                Err(Closed::Speaking(_)) => {}
            }
        }
        let connection = open(server, keeper, traceparent, ClientLifecycleMode::Initialize).await;
        let connection = connection.map_err(Closed::why)?;
        *is_old = true;
        Ok(connection)
    };
    let seconds = START_TIMEOUT.as_secs();
    timeout(START_TIMEOUT, opened)
        .await
        .unwrap_or_else(|_| Err(format!("it was not ready in {seconds} s")))
}

/// Where an attempt ended.
enum Closed {
    /// Nothing was said yet.
    Early(String),
    /// It did not get on with the server.
    Speaking(String),
}

impl Closed {
    fn why(self) -> String {
        match self {
            Closed::Early(why) | Closed::Speaking(why) => why,
        }
    }
}

fn auto() -> ClientLifecycleMode {
    ClientLifecycleMode::Auto {
        preferred_versions: vec![ProtocolVersion::V_2026_07_28],
        legacy_version: Some(ProtocolVersion::V_2025_11_25),
    }
}

async fn open(
    server: &ToolServer,
    keeper: Option<&Keeper>,
    traceparent: &str,
    mode: ClientLifecycleMode,
) -> Result<Connection, Closed> {
    let us = Us::default();
    match &server.reach {
        Reach::Program { .. } => {
            let (mut program, input, output) =
                spawn(server, keeper, traceparent).map_err(Closed::Early)?;
            let transport = AsyncRwTransport::new_client(output, input);
            let transport = transport.with_max_line_length(LINE_MAX);
            match us.serve_with_lifecycle(transport, mode).await {
                Ok(service) => Ok(Connection { service, program: Some(program) }),
                Err(error) => {
                    program.gone().await;
                    let said = program.words.last();
                    let said =
                        if said.is_empty() { told(&error) } else { format!("it said: {said}") };
                    Err(Closed::Speaking(said))
                }
            }
        }
        Reach::Http { url, headers, private } => {
            let mut custom = HashMap::new();
            for (name, value) in headers {
                let name = HeaderName::try_from(name.as_str());
                let value = HeaderValue::try_from(value.expose_secret());
                let (Ok(name), Ok(mut value)) = (name, value) else {
                    return Err(Closed::Early("a header of it cannot be sent".into()));
                };
                value.set_sensitive(true);
                custom.insert(name, value);
            }
            let config = StreamableHttpClientTransportConfig::with_uri(url.as_str())
                .custom_headers(custom)
                .max_sse_event_size(LINE_MAX);
            let http = client_to(url, *private).map_err(Closed::Early)?;
            let transport = StreamableHttpClientTransport::with_client(http, config);
            let service = us.serve_with_lifecycle(transport, mode).await;
            let service = service.map_err(|it| Closed::Speaking(told(&it)))?;
            Ok(Connection { service, program: None })
        }
    }
}

fn told(error: &ClientInitializeError) -> String {
    crate::words::cut(&error.to_string(), 300)
}
