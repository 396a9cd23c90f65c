;; A filter that does nothing, with the callbacks that a filter needs which reads requests and answers:
;; the least that a wasm filter can cost.
(module
  (memory (export "memory") 16)
  (global $next (mut i32) (i32.const 65536))

  (func (export "proxy_abi_version_0_2_1"))
  (func (export "_initialize"))

  ;; The host asks for memory only to pass data to the plugin, which never reads any.
  (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
    (if (i32.gt_u (i32.add (global.get $next) (local.get $size)) (i32.const 1048576))
      (then (global.set $next (i32.const 65536))))
    (global.get $next)
    (global.set $next (i32.add (global.get $next) (local.get $size))))

  (func (export "proxy_on_context_create") (param i32 i32))
  (func (export "proxy_on_vm_start") (param i32 i32) (result i32) (i32.const 1))
  (func (export "proxy_on_configure") (param i32 i32) (result i32) (i32.const 1))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (i32.const 0))
  (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32) (i32.const 0))
  (func (export "proxy_on_request_trailers") (param i32 i32) (result i32) (i32.const 0))
  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32) (i32.const 0))
  (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32) (i32.const 0))
  (func (export "proxy_on_response_trailers") (param i32 i32) (result i32) (i32.const 0))
  (func (export "proxy_on_log") (param i32))
  (func (export "proxy_on_delete") (param i32)))
