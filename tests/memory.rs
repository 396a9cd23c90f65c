//! How much memory the work on a message takes at its peak: no more than the budget of a worker
//! leaves room for, whatever a caller or a provider makes large in it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};

use llm_gateway::held::{COPIES, ITEM};
use llm_gateway::protocol::wire::MAX_ALL_ITEMS;
use llm_gateway::translate::{Call, Context, Pair, Route};
use serde_json::{Map, Value, json};

/// The system's allocator, with an account of each thread.
struct Counting;

thread_local! {
    static NOW: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        give(layout.size());
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // The VM's allocator has both for a moment.
        take(size);
        let moved = unsafe { System.realloc(pointer, layout, size) };
        give(layout.size());
        moved
    }
}

fn take(bytes: usize) {
    NOW.set(NOW.get().wrapping_add(bytes));
    PEAK.set(PEAK.get().max(NOW.get()));
}

fn give(bytes: usize) {
    NOW.set(NOW.get().wrapping_sub(bytes));
}

/// What `work` takes at its peak, beyond what was there before.
fn peak<T>(work: impl FnOnce() -> T) -> (usize, T) {
    let before = NOW.get();
    PEAK.set(before);
    let done = work();
    (PEAK.get() - before, done)
}

/// Requests and answers of every route, each made large at each of its places.
#[test]
fn no_translation_takes_more_than_the_budget_leaves_room_for() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut tried = 0;
    for directory in directories(&golden) {
        let name = directory.file_name().unwrap().to_str().unwrap();
        let route = route(name);
        let (request, context) = richest(&directory, "request.json");
        for (place, body) in inflated(&request) {
            let (took, _) = peak(|| Call::new(route, context.clone()).request(&body).map(drop));
            check(took, &body, &format!("request of {name}, {place}"));
            tried += 1;
        }
        let mut call = Call::new(route, context);
        let _ = call.request(request.to_string().as_bytes()).unwrap();
        for (place, body) in inflated(&richest(&directory, "response.json").0) {
            let answer = call.clone().answer(200, b"application/json");
            let (took, _) = peak(|| answer.whole(&body).map(drop));
            check(took, &body, &format!("answer of {name}, {place}"));
            tried += 1;
        }
    }
    assert!(tried > 2000, "{tried}");
}

fn check(took: usize, body: &[u8], what: &str) {
    let items = body.iter().filter(|byte| **byte == b',').count();
    // The body itself is there, too.
    let room = body.len() * (COPIES - 1) + items.min(MAX_ALL_ITEMS) * ITEM + SMALL;
    assert!(took <= room, "{what}: {took} of {} bytes, where {room} are room", body.len());
}

/// Every way to make a document large at one of its places.
fn inflated(document: &Value) -> impl Iterator<Item = (String, Vec<u8>)> {
    let mut places = Vec::new();
    walk(document, String::new(), &mut places);
    places.into_iter().flat_map(move |place| {
        let large = match document.pointer(&place).unwrap() {
            Value::String(_) => {
                let text = |piece: &str| json!(piece.repeat(SIZE / piece.len()));
                vec![("text", text("x")), ("quotes", text("\"")), ("controls", text("\u{1}\n"))]
            }
            Value::Array(items) if !items.is_empty() => {
                let many = SIZE / items[0].to_string().len();
                let many: Vec<_> = items.iter().cycle().take(many.max(1)).cloned().collect();
                vec![
                    ("items", json!(many)),
                    ("zeros", json!(vec![0; SIZE / 2])),
                    ("objects", json!(vec![json!({}); SIZE / 3])),
                    ("lists of objects", json!(vec![vec![json!({}); 20]; SIZE / 60])),
                ]
            }
            Value::Object(members) => {
                let with = |value: Value| {
                    let mut members = members.clone();
                    members.insert("unknown".into(), value);
                    Value::Object(members)
                };
                let numbers = (0..SIZE / 10).map(|number| (number.to_string(), json!(0)));
                vec![
                    ("a text more", with(json!("x".repeat(SIZE)))),
                    ("zeros more", with(json!(vec![0; SIZE / 2]))),
                    ("objects more", with(json!(vec![json!({}); SIZE / 3]))),
                    ("only other members", Value::Object(numbers.collect::<Map<_, _>>())),
                ]
            }
            _ => Vec::new(),
        };
        large.into_iter().map(move |(how, value)| {
            let mut copy = document.clone();
            *copy.pointer_mut(&place).unwrap() = value;
            (format!("{place}: {how}"), serde_json::to_vec(&copy).unwrap())
        })
    })
}

fn walk(value: &Value, place: String, places: &mut Vec<String>) {
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(item, format!("{place}/{index}"), places);
            }
        }
        Value::Object(members) => {
            for (key, item) in members {
                let key = key.replace('~', "~0").replace('/', "~1");
                walk(item, format!("{place}/{key}"), places);
            }
        }
        _ => {}
    }
    places.push(place);
}

/// The longest file of that name in the cases of a route that are no refusals.
fn richest(route: &Path, name: &str) -> (Value, Context) {
    let out = name.replace(".json", ".out.json");
    let read =
        |file: PathBuf| -> Option<Value> { serde_json::from_slice(&fs::read(file).ok()?).ok() };
    let files = directories(route).into_iter().filter_map(|case| {
        let refused = read(case.join(&out))
            .is_none_or(|out| out.get("error").is_some_and(|error| error.get("kind").is_some()));
        let file = read(case.join(name)).filter(|_| !refused)?;
        Some((file, context(&read(case.join("context.json")).unwrap_or_default())))
    });
    files.max_by_key(|(file, _)| file.to_string().len()).unwrap()
}

fn directories(under: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(under).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_dir()).collect()
}

fn route(name: &str) -> Route {
    let pair = |name: &str| *Pair::ALL.iter().find(|pair| pair.name() == name).unwrap();
    match name.split_once('.') {
        None => pair(name).into(),
        Some((client, provider)) => Route::through(pair(client), pair(provider)),
    }
}

fn context(given: &Value) -> Context {
    let mut context = Context::default();
    context.upstream_model = given["upstream_model"].as_str().unwrap_or("upstream-model").into();
    context.model = "asked-model".into();
    context.request_id = "req-1".into();
    context.default_max_tokens = 4096;
    context
}

/// About so large is each message.
const SIZE: usize = 24 << 10;

/// What is no multiple of anything.
const SMALL: usize = 32 << 10;
