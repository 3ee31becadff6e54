//! Images and videos: by data URL, by file where allowed, resized as asked.

use base64::Engine as _;
use fs_err as fs;
use image::{ImageFormat, Rgb, RgbImage};
use serde_json::{Value, json};

use super::{Server, ask, with};
use crate::root;

fn png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let image = RgbImage::from_pixel(width, height, Rgb([200, 210, 220]));
    image.write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

fn data_url(kind: &str, bytes: &[u8]) -> String {
    format!("data:{kind};base64,{}", base64(bytes))
}

fn base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn message(part: &Value) -> Value {
    json!({"messages": [{"role": "user", "content": [part, {"type": "text", "text": "?"}]}]})
}

fn image_url(url: &str) -> Value {
    json!({"type": "image_url", "image_url": {"url": url}})
}

/// Tokens of the prompt that a part adds.
fn tokens(server: &Server, part: &Value, fields: &Value) -> i64 {
    let count = |body: &Value| {
        let answer = server.chat(&with(body.clone(), &json!({"max_tokens": 1})));
        answer["usage"]["prompt_tokens"].as_i64().unwrap()
    };
    let text = count(&with(ask(), &message(&json!({"type": "text", "text": ""}))));
    // The start and the end of a picture are tokens, too.
    count(&with(with(ask(), &message(part)), fields)) - text - 2
}

#[test]
fn images_are_resized_as_the_request_says() {
    let server = Server::start(&[]);
    let url = data_url("image/png", &png(280, 140));
    let part = image_url(&url);
    assert_eq!(tokens(&server, &part, &json!({})), 10 * 5);
    let kwargs = json!({"mm_processor_kwargs": {"max_pixels": 28 * 28 * 8}});
    assert_eq!(tokens(&server, &part, &kwargs), 4 * 2);
    let own = with(part.clone(), &json!({"resized_width": 56, "resized_height": 84}));
    assert_eq!(tokens(&server, &own, &json!({})), 2 * 3);
    let low = json!({"type": "image_url", "image_url": {"url": url, "detail": "low"}});
    assert_eq!(tokens(&server, &low, &json!({})), 10 * 5);
    let body = with(with(ask(), &message(&with(part, &json!({"min_pixels": 28 * 280})))), &kwargs);
    let reply = server.post("/v1/chat/completions", &body);
    assert_eq!(reply.status, 400, "{}", reply.body);
    assert_eq!(reply.json().unwrap()["error"]["code"], "invalid_image");
}

#[test]
fn files_are_read_below_the_folder_that_was_allowed() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root dir");
    fs::create_dir(&root).unwrap();
    fs::write(root.join("a b.png"), png(56, 56)).unwrap();
    fs::write(dir.path().join("secret.png"), png(56, 56)).unwrap();
    fs_err::os::unix::fs::symlink(dir.path().join("secret.png"), root.join("link.png")).unwrap();
    let server = Server::start(&["--allow-file-root", root.to_str().unwrap()]);
    let url = |name: &str| format!("file://{}/{name}", root.display()).replace(' ', "%20");
    assert_eq!(tokens(&server, &image_url(&url("a b.png")), &json!({})), 4);
    let refused = |url: &str| {
        let body = with(ask(), &message(&image_url(url)));
        let reply = server.post("/v1/chat/completions", &body);
        assert_eq!(reply.status, 400, "{url}: {}", reply.body);
        reply.json().unwrap()["error"]["message"].as_str().unwrap().to_owned()
    };
    let outside = refused(&url("../secret.png"));
    for url in [url("link.png"), url("none.png"), url(""), "file:///etc/passwd".to_owned()] {
        // What is missing and what is elsewhere cannot be told apart.
        assert_eq!(refused(&url), outside, "{url}");
    }
    for url in ["file:relative.png", "file://host/etc/passwd", "file:///%ff", "file:///a%0"] {
        refused(url);
    }
}

#[test]
fn videos_come_as_frames_or_as_an_animation() {
    // The embedded checkpoint's template knows no videos, which is an error and no more.
    let tiny = root().join("fixtures/tiny-qwen2_5_vl/flat-f32");
    let tiny = ["--model", tiny.to_str().unwrap(), "--served-name", "embedded"];
    let server = Server::start(&tiny);
    let frame = base64(&png(140, 140));
    let frames = format!("data:video/jpeg;base64,{frame},{frame},{frame},{frame}");
    let video = |url: &str| json!({"type": "video_url", "video_url": {"url": url}});
    let pixels = json!({"mm_processor_kwargs": {"min_pixels": 784, "max_pixels": 140 * 140}});
    let listed = tokens(&server, &video(&frames), &pixels);
    assert!(listed > 0 && listed % 2 == 0, "{listed}: two frames are one step of time");

    let mut gif = Vec::new();
    {
        let mut encoder = image::codecs::gif::GifEncoder::new(&mut gif);
        for level in 0..8 {
            let pixels = image::RgbaImage::from_pixel(56, 56, image::Rgba([level * 30, 0, 0, 255]));
            let delay = image::Delay::from_numer_denom_ms(500, 1);
            encoder.encode_frame(image::Frame::from_parts(pixels, 0, 0, delay)).unwrap();
        }
    }
    let animated = tokens(&server, &video(&data_url("image/gif", &gif)), &pixels);
    assert!(animated > 0 && animated % 4 == 0, "{animated}: eight frames are four steps of time");
    let refused = with(ask(), &message(&video(&frames)));
    assert_eq!(Server::start(&[]).post("/v1/chat/completions", &refused).status, 400);
    // A GIF as an image is its first frame.
    assert_eq!(tokens(&server, &image_url(&data_url("image/gif", &gif)), &json!({})), 4);
}
