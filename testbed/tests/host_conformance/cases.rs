//! The scripts. `filters/probe` explains their language.

/// A request and the script of its stream.
pub(crate) struct Http {
    pub(crate) name: &'static str,
    pub(crate) method: &'static str,
    pub(crate) headers: &'static [(&'static str, &'static str)],
    /// The body, in one frame that ends the request; empty means that there is none.
    pub(crate) body: &'static str,
    pub(crate) script: &'static str,
}

impl Http {
    pub(crate) fn is_grpc(&self) -> bool {
        self.headers.contains(&GRPC)
    }

    /// Whether the machine does not survive the case.
    pub(crate) fn is_fatal(&self) -> bool {
        self.script.contains("trap")
    }
}

/// A TCP connection, and what the client sends after the script.
pub(crate) struct Tcp {
    pub(crate) name: &'static str,
    pub(crate) script: &'static str,
    pub(crate) data: &'static str,
}

const GRPC: (&str, &str) = ("content-type", "application/grpc");
/// An empty gRPC message.
const MESSAGE: &str = "\0\0\0\0\0";

const PLAIN: Http = Http {
    name: "",
    method: "GET",
    headers: &[],
    body: "",
    script: "",
};
const CALL: Http = Http {
    method: "POST",
    headers: &[GRPC],
    body: MESSAGE,
    ..PLAIN
};

pub(crate) const HTTP: &[Http] = &[
    // Header maps.
    Http {
        name: "joined",
        headers: &[
            ("x-a", "1"),
            ("X-A", "2"),
            ("user-agent", "u1"),
            ("user-agent", "u2"),
            ("accept", "a"),
            ("accept", "b"),
            ("authorization", "A"),
            ("authorization", "B"),
            ("forwarded", "f"),
            ("forwarded", "g"),
            ("range", "r"),
            ("range", "s"),
            ("if-match", "i"),
            ("if-match", "j"),
            ("x-bytes", "\u{e9}"),
        ],
        script: "request_headers: all 0 | get 0 X-A | get 0 user-agent | get 0 host | size 0",
        ..PLAIN
    },
    Http {
        name: "edited",
        headers: &[
            ("x-a", "1"),
            ("x-a", "2"),
            ("user-agent", "u"),
            ("x-b", "1"),
            ("x-c", "1"),
        ],
        script: "request_headers: set 0 x-a new | add 0 user-agent u2 | add 0 X-Up v | add 0 x-b 2 \
                 | remove 0 x-c | set 0 :path /new?x | set 0 x-empty %20 | all 0",
        ..PLAIN
    },
    Http {
        name: "replaced",
        script: "request_headers: all 0 x-z=1 :method=POST x-z=2 :path=/p :authority=h :scheme=http \
                 x-case=replaced x-script=- x-forwarded-proto=https | all 0 | get 0 x-z",
        ..PLAIN
    },
    Http {
        name: "response_edited",
        script: "response_headers: set 2 :status 201 | add 2 X-Added 1 | add 2 vary a | add 2 vary b \
                 | all 2",
        ..CALL
    },
    // What is there in which phase, and with which status it is not.
    Http {
        name: "phases",
        script: "request_headers: get 1 x | get 2 x | get 3 x | get 4 x | get 6 x | get 8 x | all 2 \
                 | add 2 x y | size 2 | buffer 0 0 9 | buffer 1 0 9 | buffer 2 0 9 | buffer 4 0 9 \
                 | buffer 5 0 9 | buffer 7 0 9 | buffer 9 0 9 | write 0 0 0 x | write 6 0 0 x \
                 | write 7 0 0 x | length 0 | length 4; \
                 request_body: get 0 x | add 0 x y | get 1 x | buffer 0 0 9 | size 1; \
                 response_headers: get 0 x | add 0 x y | get 2 :status | buffer 0 0 9; \
                 response_body: get 2 :status | buffer 1 0 9; \
                 response_trailers: get 3 grpc-status | add 3 x-t 1 | get 2 :status; \
                 log: get 0 :path | get 1 x | get 2 :status | get 3 grpc-status | get 6 x | add 0 x y \
                 | size 0",
        ..CALL
    },
    Http {
        name: "properties",
        headers: &[("x-a", "1"), ("x-a", "2"), ("user-agent", "ua")],
        script: "request_headers: property %00 | property %00x | property request | property request%00path \
                 | property request%00url_path | property request%00query | property request%00host \
                 | property request%00method | property request%00useragent | property request%00referer \
                 | property request%00headers%00x-a | property request%00headers%00nope \
                 | property request%00nope | property request%00path%00x | property response \
                 | property response%00code | property response%00headers | property response%00trailers \
                 | property response%00flags | property connection | property connection%00mtls \
                 | property connection%00uri_san_peer_certificate | property connection%00nope \
                 | property source | property destination | property upstream | property xds \
                 | property metadata | property metadata%00filter_metadata \
                 | property metadata%00filter_metadata%00nope | property filter_state \
                 | property filter_state%00nope | property upstream_filter_state | property node \
                 | property plugin_name | property plugin_root_id | property plugin_vm_id \
                 | property plugin_name%00x | property nope | property xds%00node%00id \
                 | property xds%00node%00metadata | property xds%00node%00metadata%00k; \
                 response_headers: property request%00path | property request%00headers \
                 | property response%00code | property response%00code_details \
                 | property response%00headers%00:status | property upstream_filter_state; \
                 log: property request%00path | property response%00code \
                 | property response%00code_details | property response%00grpc_status",
        ..PLAIN
    },
    Http {
        name: "filter_state",
        script: "request_headers: property mine M | property a%00b AB | property mine \
                 | property mine%00x | property wasm.mine | property a%00b | property a \
                 | property filter_state%00wasm.mine | property filter_state%00wasm.a; \
                 response_headers: property mine | property mine N | property mine; log: property mine",
        ..PLAIN
    },
    Http {
        name: "foreign",
        script: "request_headers: foreign nope x | foreign clear_route_cache x \
                 | foreign set_envoy_filter_state %0a%0aenvoy.nope%12%01x \
                 | foreign set_envoy_filter_state %0a%0cenvoy.string%12%01x \
                 | property filter_state%00envoy.string | property envoy.string \
                 | foreign declare_property %ff; request_body: act 999 | done",
        ..CALL
    },
    // Local replies.
    Http {
        name: "reply",
        script: "request_headers: reply 403 my%20details%09x denied 7 X-R=1 x-r=2 content-type=a/b; \
                 response_headers: all 2 | add 2 x-via filter | remove 2 content-length; response_body: buffer 1 0 99 \
                 | write 1 0 0 pre-; log: property response%00code_details",
        ..PLAIN
    },
    Http {
        name: "reply_without_body",
        script: "request_headers: reply 401 - - -1 content-type=x/y content-length=5 | return 1; \
                 response_headers: all 2",
        ..PLAIN
    },
    Http {
        name: "reply_to_head",
        method: "HEAD",
        script: "request_headers: reply 403 d denied -1 | return 1; response_headers: all 2; \
                 response_body: return 0",
        ..PLAIN
    },
    Http {
        name: "reply_to_grpc",
        script: "request_headers: reply 403 d a%25b~%7f%0a%c3%a9 7 x-r=1 | return 1; \
                 response_headers: all 2",
        ..CALL
    },
    Http {
        name: "reply_to_grpc_by_status",
        script: "request_headers: reply 429 d - 99 | return 1; response_headers: all 2",
        ..CALL
    },
    Http {
        name: "two_replies",
        script: "request_headers: reply 403 one one -1 | reply 404 two two -1 | return 1; \
                 log: property response%00code_details",
        ..PLAIN
    },
    Http {
        name: "reply_in_body",
        body: "zz",
        script: "request_body: reply 403 d no -1 | return 1; response_headers: all 2; \
                 request_trailers: return 0",
        ..PLAIN
    },
    Http {
        name: "reply_instead_of_response",
        script: "response_headers: reply 500 rr replaced -1 x-r=1; response_body: buffer 1 0 9; \
                 log: get 2 :status | property response%00code_details",
        ..PLAIN
    },
    Http {
        name: "reply_too_late",
        script: "response_body: reply 500 late x -1; log: property response%00code_details",
        ..CALL
    },
    Http {
        name: "reply_later",
        script: "request_headers: wait | return 1; tick: reply 418 late late -1; \
                 response_headers: all 2",
        ..PLAIN
    },
    Http {
        name: "reset",
        script: "request_headers: close 0 | close 9 | return 1; log: get 2 :status \
                 | property response%00code_details",
        ..PLAIN
    },
    Http {
        name: "reset_response",
        script: "response_headers: close 1 | return 1; log: property response%00code_details",
        ..PLAIN
    },
    // Stopping and continuing.
    Http {
        name: "paused",
        script: "request_headers: wait | return 1; tick: get 0 :path | add 0 x-late 1 | continue 0 \
                 | get 0 :path | add 0 x-later 1; request_body: buffer 0 0 9",
        ..CALL
    },
    Http {
        name: "paused_with_buffer",
        script: "request_headers: wait | return 3; tick: add 0 x-late 1 | continue 0; \
                 request_body: buffer 0 0 9",
        ..CALL
    },
    Http {
        name: "paused_by_a_number",
        body: "xyz",
        script: "request_headers: wait | return 9; tick: continue 0; request_body: buffer 0 0 9",
        ..PLAIN
    },
    Http {
        name: "return_two_is_continue",
        body: "xyz",
        script: "request_headers: return 2; request_body: buffer 0 0 9",
        ..PLAIN
    },
    Http {
        name: "continued_too_early",
        script: "request_headers: continue 0 | get 0 :path | return 1",
        ..PLAIN
    },
    Http {
        name: "continue_what",
        // Not 1: to continue a response before there is one makes Envoy 1.40 crash.
        script: "request_headers: continue 2 | continue 3 | continue 4",
        ..PLAIN
    },
    Http {
        name: "body_paused",
        body: "abc",
        script: "request_headers: remove 0 content-length; request_body: wait | return 1; tick: buffer 0 0 9 | write 0 0 3 wxyz | get 0 :path \
                 | continue 0 | buffer 0 0 9",
        ..PLAIN
    },
    Http {
        name: "body_watermark",
        body: "abc",
        script: "request_body: wait | return 2; tick: buffer 0 0 9 | continue 0",
        ..PLAIN
    },
    Http {
        name: "body_dropped",
        body: "abc",
        script: "request_headers: remove 0 content-length; request_body: wait | return 3; tick: buffer 0 0 9 | continue 0",
        ..PLAIN
    },
    Http {
        name: "body_edited",
        body: "abcdef",
        script: "request_headers: remove 0 content-length; request_body: write 0 0 0 pre- | write 0 9999 0 -post | write 0 2 3 mid \
                 | write 0 0 2 XY | buffer 0 0 99 | buffer 0 2 3 | buffer 0 9999 3 | buffer 0 2 -1 \
                 | length 0",
        ..PLAIN
    },
    Http {
        name: "trailers_made",
        script: "request_body: get 1 x | add 1 x-t 1 | all 1",
        ..CALL
    },
    Http {
        name: "response_paused",
        script: "response_headers: wait | return 1; response_body: buffer 1 0 9; \
                 tick: get 2 :status | add 2 x-late 1 | continue 1 | get 2 :status",
        ..CALL
    },
    Http {
        name: "response_collected",
        script: "response_body: return 1; response_trailers: buffer 1 0 9 | write 1 0 0 x | get 3 \
                 grpc-status",
        ..CALL
    },
    Http {
        name: "response_trailers_paused",
        script: "response_trailers: wait | return 1; tick: add 3 x-late 1 | continue 1",
        ..CALL
    },
    // The end of the machine, last.
    Http {
        name: "trap",
        script: "request_headers: trap",
        ..PLAIN
    },
    Http {
        name: "after_trap",
        script: "request_headers: get 0 :path",
        ..PLAIN
    },
    Http {
        name: "trap_after_reply",
        script: "request_headers: reply 403 mine x -1 | trap",
        ..PLAIN
    },
    Http {
        name: "trap_in_response",
        script: "response_headers: trap",
        ..PLAIN
    },
    Http {
        name: "trap_in_response_body",
        script: "response_body: trap",
        ..CALL
    },
    Http {
        name: "after_traps",
        script: "request_headers: get 0 :path",
        ..PLAIN
    },
];

pub(crate) const TCP: &[Tcp] = &[
    Tcp {
        name: "tcp",
        script: "downstream_data: property connection%00mtls | get 0 x | buffer 0 0 9 | length 3; \
                 upstream_data: length 3 | buffer 2 0 9",
        data: "abc",
    },
    Tcp {
        name: "tcp_edited",
        script: "downstream_data: write 2 0 0 < | write 2 9999 0 > | write 2 2 2; \
                 upstream_data: write 3 0 1",
        data: "abc",
    },
    Tcp {
        name: "tcp_closed",
        script: "downstream_data: close 2 | return 1; log: length 2",
        data: "abc",
    },
    Tcp {
        name: "tcp_closed_upstream",
        script: "downstream_data: close 3 | return 1",
        data: "abc",
    },
    Tcp {
        name: "tcp_closed_on_the_way_back",
        script: "upstream_data: close 2",
        data: "abc",
    },
    Tcp {
        name: "tcp_paused",
        script: "downstream_data: wait | return 1; tick: length 2 | continue 2 | continue 3 | length 2",
        data: "abc",
    },
    Tcp {
        name: "tcp_revoked",
        script: "upstream_data: wait; tick: close 2",
        data: "abc",
    },
    Tcp {
        name: "tcp_state",
        script: "downstream_data: property mine M | property mine \
        | property filter_state%00wasm.mine | reply 200 - - -1",
        data: "abc",
    },
];
