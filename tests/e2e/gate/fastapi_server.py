"""Models behind FastAPI, written as such servers are written: JSON whatever the content type says,
redirects for slashes, a route for all that is left. Tells what it saw at /__seen."""

import json
import sys

import uvicorn
from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import JSONResponse, Response

SEEN = []


class Recorder:
    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan" or scope["path"] == "/__seen":
            return await self.app(scope, receive, send)
        seen = {
            "method": scope.get("method", "WEBSOCKET"),
            "path": scope["raw_path"].decode("latin-1"),
            "query": scope["query_string"].decode("latin-1"),
            "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]],
            "body": "",
            "served": None,
        }
        SEEN.append(seen)
        scope["seen"] = seen

        async def recorded():
            message = await receive()
            seen["body"] += message.get("body", b"").decode("latin-1")
            return message

        async def answered(message):
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message["headers"],
                    (b"set-cookie", b"session=of-the-provider"),
                    (b"x-llm-evil", b"of-the-provider"),
                    (b"x-envoy-evil", b"of-the-provider"),
                ]
            await send(message)

        await self.app(scope, recorded, answered)


app = FastAPI()


async def model(request):
    try:
        body = await request.json()
    except ValueError:
        body = dict(await request.form())
    request.scope["seen"]["served"] = body.get("model") if isinstance(body, dict) else None
    return body if isinstance(body, dict) else {}


def stream(events):
    return Response("".join(events), media_type="text/event-stream")


def data(value):
    return f"data: {json.dumps(value)}\n\n"


USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}


@app.post("/v1/chat/completions")
async def chat(request: Request):
    body = await model(request)
    about = {"id": "c", "created": 1, "model": body.get("model")}
    if not body.get("stream"):
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi"}}
        return JSONResponse({**about, "object": "chat.completion", "choices": [choice], "usage": USAGE})
    chunk = {**about, "object": "chat.completion.chunk"}
    said = {"index": 0, "delta": {"role": "assistant", "content": "Hi"}, "finish_reason": None}
    ended = {"index": 0, "delta": {}, "finish_reason": "stop"}
    usage = [{**chunk, "choices": [], "usage": USAGE}] if body.get("stream_options") else []
    return stream([*map(data, [{**chunk, "choices": [said]}, {**chunk, "choices": [ended]}, *usage]), "data: [DONE]\n\n"])


@app.post("/v1/completions")
async def completions(request: Request):
    body = await model(request)
    choice = {"index": 0, "finish_reason": "stop", "text": "Hi", "logprobs": None}
    return JSONResponse({"id": "c", "object": "text_completion", "created": 1, "model": body.get("model"), "choices": [choice], "usage": USAGE})


@app.post("/v1/embeddings")
async def embeddings(request: Request):
    body = await model(request)
    vector = {"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}
    return JSONResponse({"object": "list", "data": [vector], "model": body.get("model"), "usage": {"prompt_tokens": 1, "total_tokens": 1}})


@app.post("/v1/responses")
async def responses(request: Request):
    body = await model(request)
    text = {"type": "output_text", "text": "Hi", "annotations": []}
    message = {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [text]}
    return JSONResponse({"id": "r", "object": "response", "created_at": 1, "status": "completed", "model": body.get("model"), "output": [message], "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}})


@app.post("/v1/messages")
async def messages(request: Request):
    body = await model(request)
    return JSONResponse({"id": "m", "type": "message", "role": "assistant", "model": body.get("model"), "content": [{"type": "text", "text": "Hi"}], "stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1}})


@app.post("/v1beta/models/{name}")
async def gemini(name: str, request: Request):
    await model(request)
    named, _, method = name.rpartition(":")
    request.scope["seen"]["served"] = named
    if method == "embedContent":
        return JSONResponse({"embedding": {"values": [0.5]}})
    if method == "batchEmbedContents":
        return JSONResponse({"embeddings": [{"values": [0.5]}]})
    answer = {"candidates": [{"index": 0, "finishReason": "STOP", "content": {"role": "model", "parts": [{"text": "Hi"}]}}], "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}, "modelVersion": named}
    return stream([data(answer)]) if method.startswith("stream") else JSONResponse(answer)


@app.post("/v1/rerank")
@app.post("/rerank")
@app.post("/tokenize")
async def rerank(request: Request):
    body = await model(request)
    return JSONResponse({"model": body.get("model"), "results": []})


@app.websocket("/v1/realtime")
async def realtime(socket: WebSocket):
    await socket.accept()
    await socket.close()


@app.get("/__seen")
async def seen():
    taken = SEEN[:]
    SEEN.clear()
    return JSONResponse(taken)


@app.api_route("/{rest:path}", methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def anything(rest: str, request: Request):
    if request.method == "POST":
        await model(request)
    return JSONResponse({"object": "list", "data": []})


if __name__ == "__main__":
    uvicorn.run(Recorder(app), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", http="h11", ws="websockets-sansio", timeout_keep_alive=60)
