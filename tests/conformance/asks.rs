//! The fixture tools that answer with a question first: several rounds of one call, whose state
//! travels sealed with the client.

#![expect(
    deprecated,
    reason = "the suite asks for sampling and roots, which the protocol is giving up"
)]

use rmcp::RoleServer;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, CreateMessageRequest,
    CreateMessageRequestParams, ElicitRequest, ElicitRequestParams, ErrorData, InputRequest,
    InputRequests, InputRequiredResult, InputResponses, ListRootsRequest, RequestStateCodec,
    SamplingMessage, Tool,
};
use rmcp::service::RequestContext;
use serde_json::{Value, json};

use super::plain::no_arguments;

/// Every tool of this kind with what it shows.
const TOOLS: [(&str, &str); 9] = [
    ("test_input_required_result_elicitation", "Asks the user for a name"),
    ("test_input_required_result_sampling", "Asks the client's model for a capital"),
    ("test_input_required_result_list_roots", "Asks the client for its roots"),
    ("test_input_required_result_request_state", "Asks once and checks the state it gave along"),
    ("test_input_required_result_tampered_state", "Refuses a state that was changed on the way"),
    ("test_input_required_result_multiple_inputs", "Asks for three things at once"),
    ("test_input_required_result_multi_round", "Asks twice, one after the other"),
    ("test_input_required_result_capabilities", "Asks only for what the client can do"),
    ("test_streaming_elicitation", "Asks the user on the stream of the call"),
];

/// Signs what travels with the client. Not a secret: whoever forges it only fools a fixture.
const KEY: &[u8] = b"the key of a test fixture, known to everybody";

/// The tools that ask.
pub(crate) struct Asks {
    codec: RequestStateCodec,
}

impl Asks {
    pub(crate) fn new() -> Asks {
        Asks { codec: RequestStateCodec::try_new(KEY).expect("the key is long enough") }
    }

    pub(crate) fn is_one(tool: &str) -> bool {
        TOOLS.iter().any(|(name, _)| *name == tool)
    }

    pub(crate) fn tools() -> impl Iterator<Item = Tool> {
        TOOLS.into_iter().map(|(name, told)| no_arguments(name, told))
    }

    pub(crate) fn call(
        &self,
        request: &CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let given = |key| answered(request.input_responses.as_ref(), key);
        let name = || form("What is your name?", "name", "string");
        let state = request.request_state.as_deref().map(|it| self.opened(it)).transpose()?;
        match request.name.as_ref() {
            "test_input_required_result_elicitation" => Ok(match given("user_name") {
                Some(it) => done(format!("Hello, {}!", word(&it["content"]["name"]))),
                None => asks([("user_name", name())]),
            }),
            "test_input_required_result_sampling" => Ok(match given("capital_question") {
                Some(it) => done(format!("The model says: {}", word(&it["content"]["text"]))),
                None => asks([("capital_question", sampling("What is the capital of France?"))]),
            }),
            "test_input_required_result_list_roots" => Ok(match given("client_roots") {
                Some(it) => done(format!("The client's roots: {}", it["roots"])),
                None => asks([("client_roots", roots())]),
            }),
            "test_input_required_result_multiple_inputs" => {
                let keys = ["user_name", "greeting", "client_roots"];
                if state.is_some() && keys.iter().all(|it| given(it).is_some()) {
                    return Ok(done("All three are there.".to_owned()));
                }
                let greeting = sampling("Generate a greeting");
                let three = keys.into_iter().zip([name(), greeting, roots()]);
                self.asks_with(three, json!({"asked": "all"}))
            }
            "test_input_required_result_multi_round" => self.round(state.as_ref()),
            "test_input_required_result_capabilities" => Ok(as_far_as_it_can(request, context)
                .map_or_else(
                    || done("Nothing to ask, or all is answered.".to_owned()),
                    |it| InputRequiredResult::from_input_requests(it).into(),
                )),
            "test_streaming_elicitation" => Ok(asks([("user_name", name())])),
            // `request_state` and `tampered_state`: what was opened above was ours.
            _ if state.is_some() => Ok(done("Confirmed: state-ok".to_owned())),
            _ => {
                let confirm = form("Please confirm", "ok", "boolean");
                self.asks_with([("confirm", confirm)], json!({"asked": "confirm"}))
            }
        }
    }

    fn round(&self, state: Option<&Value>) -> Result<CallToolResponse, ErrorData> {
        let (question, next) = match state.and_then(|it| it["round"].as_u64()) {
            None => (("step1", form("Step 1: What is your name?", "name", "string")), 1),
            Some(1) => {
                (("step2", form("Step 2: What is your favorite color?", "color", "string")), 2)
            }
            Some(_) => return Ok(done("Both rounds are done.".to_owned())),
        };
        self.asks_with([question], json!({"round": next}))
    }

    fn opened(&self, sealed: &str) -> Result<Value, ErrorData> {
        let refused = |_| ErrorData::invalid_params("requestState was not written here", None);
        self.codec.open_json(sealed).map_err(refused)
    }

    fn asks_with<'a>(
        &self,
        questions: impl IntoIterator<Item = (&'a str, InputRequest)>,
        state: Value,
    ) -> Result<CallToolResponse, ErrorData> {
        let sealed = self.codec.seal_json(&state);
        let sealed = sealed.map_err(|it| ErrorData::internal_error(it.to_string(), None))?;
        Ok(InputRequiredResult::new(Some(asking(questions)), Some(sealed)).into())
    }
}

/// Questions for what the client says it can answer, until it has answered.
fn as_far_as_it_can(
    request: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
) -> Option<InputRequests> {
    if request.input_responses.is_some() {
        return None;
    }
    let can = context.client_capabilities().unwrap_or_default();
    let name = || ("user_name", form("What is your name?", "name", "string"));
    let questions = [
        can.elicitation.is_some().then(name),
        can.sampling.is_some().then(|| ("greeting", sampling("Generate a greeting"))),
        can.roots.is_some().then(|| ("client_roots", roots())),
    ];
    let questions = asking(questions.into_iter().flatten());
    (!questions.is_empty()).then_some(questions)
}

/// The answer under a key; what is no object is no answer.
pub(crate) fn answered(given: Option<&InputResponses>, key: &str) -> Option<Value> {
    given?.get(key).filter(|it| it.is_object()).cloned()
}

/// A form with one required field.
pub(crate) fn form(message: &str, field: &str, kind: &str) -> InputRequest {
    let schema = json!({
        "type": "object", "properties": {field: {"type": kind}}, "required": [field]
    });
    InputRequest::Elicitation(ElicitRequest::new(ElicitRequestParams::FormElicitationParams {
        meta: None,
        message: message.to_owned(),
        requested_schema: serde_json::from_value(schema).expect("a schema of a form"),
    }))
}

pub(crate) fn asking<'a>(
    questions: impl IntoIterator<Item = (&'a str, InputRequest)>,
) -> InputRequests {
    questions.into_iter().map(|(key, it)| (key.to_owned(), it)).collect()
}

fn sampling(prompt: &str) -> InputRequest {
    let messages = vec![SamplingMessage::user_text(prompt)];
    let asked = CreateMessageRequestParams::new(messages, 100);
    InputRequest::CreateMessage(CreateMessageRequest::new(asked))
}

fn roots() -> InputRequest {
    InputRequest::ListRoots(ListRootsRequest::default())
}

fn asks<'a>(questions: impl IntoIterator<Item = (&'a str, InputRequest)>) -> CallToolResponse {
    InputRequiredResult::from_input_requests(asking(questions)).into()
}

fn done(text: String) -> CallToolResponse {
    CallToolResult::success(vec![ContentBlock::text(text)]).into()
}

fn word(it: &Value) -> &str {
    it.as_str().unwrap_or("(nothing)")
}
