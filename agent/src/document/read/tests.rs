//! Documents as Qwen2.5-VL writes them, and what else may come.

use handsight_actions::{Rect, Size};

use super::*;

/// The picture is twice as large as what the model saw.
const FRAME: Frame = Frame {
    screenshot: Size { width: 1120, height: 1120 },
    model: Size { width: 560, height: 560 },
};

fn read(reply: &str) -> DocumentText {
    read_document_html(reply, FRAME).unwrap()
}

/// Writes down the elements, one a line.
fn told(read: &DocumentText) -> String {
    let element = |element: &Element| {
        let class = element.class.as_ref().map_or(String::new(), |class| format!(".{class}"));
        let area = element.area.map_or("-".to_owned(), |Rect { x, y, width, height }| {
            format!("{x},{y} {width}×{height}")
        });
        let rows: Vec<_> = element.rows.iter().map(|row| row.join(" | ")).collect();
        format!("{}{class} {area} {:?} {}", element.tag, element.text, rows.join(" / "))
            .trim_end()
            .to_owned()
    };
    read.elements.iter().map(element).collect::<Vec<_>>().join("\n")
}

const LETTER: &str = r#"```html
<html><body>
<h1 data-bbox="10 20 200 50">A &amp; B<br/>Report</h1>
<p data-bbox="10 60 300 90">The <b>first</b>
 line.</p>
<div class="image" data-bbox="10 100 300 200"><img data-bbox="10 100 300 180"/>
<p class="image caption" data-bbox="10 185 300 200">Figure 1</p></div>
<table data-bbox="10 210 300 300"><thead><tr><th>Name</th><th colspan="2">Age</th></tr></thead>
<tr><td>Ada<td>36</tr></table>
<ol data-bbox="10 310 300 400"><li data-bbox="10 310 300 340">one<li>two</ol>
<div class="formula" data-bbox="10 410 300 440"><img/> $$x<y$$</div>
</body></html>
```"#;

#[test]
fn parts_have_their_texts_and_their_pixels_of_the_picture() {
    let read = read(LETTER);
    assert_eq!(
        told(&read),
        "h1 20,40 380×60 \"A & B\\nReport\"\n\
         p 20,120 580×60 \"The first line.\"\n\
         div.image 20,200 580×200 \"\"\n\
         img 20,200 580×160 \"\"\n\
         p.image caption 20,370 580×30 \"Figure 1\"\n\
         table 20,420 580×180 \"\" Name | Age / Ada | 36\n\
         ol 20,620 580×180 \"\"\n\
         li 20,620 580×60 \"one\"\n\
         li - \"two\"\n\
         div.formula 20,820 580×60 \"$$x<y$$\"",
    );
    assert!(!read.is_cut_off && read.repairs.is_empty() && read.refused.is_empty());
}

#[test]
fn the_page_has_the_boxes_of_the_picture_and_every_tag_closed() {
    let page = read(LETTER).html;
    for line in [
        "<h1 data-bbox=\"20 40 400 100\">A &amp; B<br>Report</h1>",
        "<p class=\"image caption\" data-bbox=\"20 370 600 400\">Figure 1</p></div>",
        "<tr><th>Name</th><th colspan=\"2\">Age</th></tr>",
        "<tr><td>Ada</td><td>36</td></tr></table>",
        "<li data-bbox=\"20 620 600 680\">one</li>",
    ] {
        assert!(page.contains(line), "{line} is not in {page}");
    }
    assert!(
        page.starts_with("<!DOCTYPE html>\n<html><head>") && page.ends_with("</body></html>\n")
    );
    // What was written is read back the same, in its own frame.
    let own = Frame { screenshot: FRAME.screenshot, model: FRAME.screenshot };
    let again = read_document_html(&page, own).unwrap();
    assert_eq!(told(&again), told(&read(LETTER)));
}

#[test]
fn what_a_page_could_do_harm_with_is_left_out() {
    let page = read(
        "<html><body><script>alert(1)</script><style>p{}</style><iframe src=x>in</iframe>\
         <p onclick=\"x()\" style=\"color:red\" data-bbox=\"1 2 3 4\">a<img src=\"http://x\" \
         onerror=y class='\"><script>'></p><a href=\"javascript:x\">b</a></body></html>",
    );
    assert_eq!(told(&page), "body - \"in\"\np 2,4 4×4 \"a\"\nbody - \"b\"");
    let body = page.html.split_once("<body>").unwrap().1;
    assert_eq!(
        body,
        "\nin\n<p data-bbox=\"2 4 6 8\">a\n<img class=\"&quot;&gt;&lt;script&gt;\"></p>b\n</body></html>\n",
    );
}

#[test]
fn a_document_that_breaks_off_keeps_what_was_written() {
    for cut in ["<p data-bbox=\"30 40", "<p data-bb", "<", "</bo", "<p data-bbox=\"30 40 50 60\""] {
        let read = read(&format!("```html\n<html><body><p data-bbox=\"1 2 3 4\">one</p>{cut}"));
        assert_eq!(told(&read), "p 2,4 4×4 \"one\"", "{cut}");
        assert!(read.is_cut_off, "{cut}");
    }
    let read = read("<html><body><p data-bbox=\"1 2 3 4\">one and");
    assert_eq!(told(&read), "p 2,4 4×4 \"one and\"");
    assert!(read.html.contains("one and</p>") && read.is_cut_off);
    // Without the tags of a page nothing tells that it is not over.
    assert!(!super::read_document_html("<p>one</p>", FRAME).unwrap().is_cut_off);
}

#[test]
fn boxes_that_cannot_be_are_told_with_their_place() {
    let reply = "Here:\n<html><body><p data-bbox=\"30 40 10 20\">a</p><p data-bbox=\"1 2 3\">b</p>\
                 <p data-bbox=\"600 1 700 2\">c</p><p data-bbox=\"500 500 700 520\">d</p></body></html>";
    let read = read(reply);
    assert_eq!(told(&read), "p 20,40 40×40 \"a\"\np - \"b\"\np - \"c\"\np 1000,1000 120×40 \"d\"",);
    let mended =
        ["swapped corners of `30 40 10 20`", "cut `500 500 700 520` off at the edge of the image"];
    assert_eq!(read.repairs, mended);
    let at = |text: &str| reply.find(text).unwrap() - "data-bbox=\"".len();
    let refused: Vec<String> = read.refused.iter().map(ToString::to_string).collect();
    assert_eq!(
        refused,
        [
            format!(
                "`data-bbox` at byte {}: 3 numbers are neither a point [x, y] nor a box [x1, y1, x2, y2]",
                at("1 2 3\"")
            ),
            format!(
                "`data-bbox` at byte {}: [600, 1, 700, 2] lies outside the 560×560 image",
                at("600 1")
            ),
        ]
    );
}

#[test]
fn words_are_no_document() {
    let error = |reply: &str| read_document_html(reply, FRAME).unwrap_err();
    assert_eq!(error(" \n"), DocumentError::Empty);
    assert_eq!(error("I see no page, and 1 < 2."), DocumentError::NoHtml);
    assert_eq!(error("<tool_call>"), DocumentError::NoHtml);
}

#[test]
fn no_depth_and_no_bytes_make_the_reader_fail() {
    let deep = "<div>".repeat(5000) + "<p>x</p>";
    assert!(read(&deep).html.len() < 5000);
    for reply in
        ["<p", "<p>&#xffffffff;</p>", "<p data-bbox=\"\u{fffd}\">\u{0}</p>", "<p></table></p></p>"]
    {
        let _ = read(reply);
    }
    let many = "<p>x</p>".repeat(MAX_ELEMENTS + 10);
    assert_eq!(read(&many).elements.len(), MAX_ELEMENTS);
}
