//! What every topic needs.

use harness::envoy::Bootstrap;

/// An Envoy that answers every request with `fixed`, without the filter.
pub(crate) fn fixed_answer() -> Bootstrap {
    Bootstrap::parse(FIXED_ANSWER).unwrap().any_ports()
}

const FIXED_ANSWER: &str = r#"
static_resources:
  listeners:
  - name: gateway
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: gateway
          access_log:
          - name: envoy.access_loggers.stdout
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog
              log_format: {json_format: {path: "%REQ(:PATH)%", status: "%RESPONSE_CODE%"}}
          route_config:
            virtual_hosts:
            - {name: all, domains: ["*"], routes: [{match: {prefix: /}, direct_response: {status: 200, body: {inline_string: fixed}}}]}
          http_filters:
          - {name: envoy.filters.http.router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
"#;
