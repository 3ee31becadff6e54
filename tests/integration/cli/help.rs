//! The help of every command.

use insta::assert_snapshot;

use super::handsight;

#[test]
fn help_lists_the_commands() {
    assert_snapshot!(handsight().snapshot(&["--help"]), @r"
    exit code: 0
    --- stdout ---
    See, decide, act: a GUI agent in one binary

    Usage: handsight [OPTIONS] <COMMAND>

    Commands:
      run         Pursue a goal on a screen
      scenario    Run and check scenarios: steps and checks in a file, replayed without the model
      eval        Run public benchmarks: ask once, score by every published rule, report with intervals
      ground      Find the things of a description on a picture, or read a document
      ask         Ask a question about pictures and videos
      chat        Talk about pictures and videos, over several turns
      act         Do one action to a screen
      screenshot  Take a screenshot
      devices     List the screens that can be observed and acted on: monitors and phones
      doctor      Prove capture, pointer, keyboard, model and traces, and say how to mend what fails
      stop        End runs that are under way: nothing more is sent, and nothing stays pressed
      pause       Pause runs that are under way
      resume      Let paused runs go on
      policy      Look after safety policies, which say what may be done to a screen
      secrets     List and check secrets, which a goal has by name only: `{{secret:bank}}`
      schema      Print the JSON Schema of actions, safety policies, scenarios and tools
      demo        Watch the agent fill in a real window, and check the window's own word on it
      trace       Read a recorded episode
      models      Fetch checkpoints, and look after those that were fetched
      serve       Serve the model to other programs, as the OpenAI API does
      mcp         Be a server of the Model Context Protocol, whose tools see a screen and act on it
      robot       Be a remote library of Robot Framework, whose keywords see a screen and act on it
      bench       Measure how fast a model is on this machine
      help        Print this message or the help of the given subcommand(s)

    Options:
          --json     Print one JSON object on stdout instead of text for people
      -h, --help     Print help
      -V, --version  Print version

    Exit codes: 0 done, 1 goal not achieved or check failed, 2 bad usage or input, 3 device or model
    unavailable, 4 the model asks for help and nobody is there, 5 a scenario passed after healing, 130
    interrupted.
    ");
}

#[test]
fn help_of_run() {
    assert_snapshot!(handsight().snapshot(&["run", "--help"]), @r"
    exit code: 0
    --- stdout ---
    Pursue a goal on a screen

    Usage: handsight run [OPTIONS] <GOAL>

    Arguments:
      <GOAL>  What to achieve, in a sentence

    Options:
          --device <DEVICE>    The screen: `desktop`, `android` for the phone that is connected,
                               `android:SERIAL` for one of several, or `still:FILE` for a picture on
                               which nothing is performed [default: desktop]
          --monitor <MONITOR>  The monitor: its number or name as `devices` lists them, or
                               `window:TITLE` for the one with that window; the primary one by default
          --window <TITLE>     Only this window, wherever it goes: a regular expression found in its
                               title, or the number that `devices` lists
          --region <X,Y,W,H>   Only this part of the monitor or window, in its pixels
          --model <MODEL>      The model: `embedded`, the folder of a checkpoint, a `.gguf` file, a name
                               that `models list` shows, or a server's, `http://host/v1#name` [default:
                               embedded]
          --mmproj <FILE>      The vision tower's file of a model in GGUF, if it is not the one beside
                               it
          --compute <WHERE>    Where the model runs: `cpu`, `cuda:N`, `metal:N`, several such as
                               `cuda:0=20GB,cuda:1,cpu`, each filled before the next is used, or `auto`
                               [default: cpu] [alias: --device-map]
          --memory <SIZE>      The most memory to take, such as `6GB`; by default what is free
          --dtype <DTYPE>      What weights are kept in; by default as they are stored, and small models
                               in f32
          --quantize <TYPE>    Quantise the weights as they are loaded: `q4k`, `q5k`, `q6k` or `q8_0`
          --exact              Compute in f32 even where weights are quantised, on the CPU: slower, and
                               closer to the reference
          --family <NAME>      The family of fine-tunes the model is of, or a .toml file; by default
                               what its name tells
          --prompt <PROFILE>   How to talk to the model; by default as its family or config.json says,
                               for the screen [possible values: embedded-v1, computer-use, mobile-use]
          --pixels <N|auto>    The most pixels of a picture the model sees; `auto`: what a screen like
                               this needs, and then a closer look; by default what suits its family
                               [alias: --max-pixels]
          --json               Print one JSON object on stdout instead of text for people
      -h, --help               Print help

    Model on a server:
          --server-timeout <TIME>       How long one answer may take, repetitions included [default: 5m]
          --server-schema <FORM>        The form in which the server is sent a JSON Schema; by default
                                        the one that works [possible values: json-schema, guided-json,
                                        json-object, none]
          --server-max-pixels <PIXELS>  The most pixels the server's model takes an image at, if fewer
                                        than the family's
          --max-steps <N>               The most steps to take [default: 20]
          --timeout <TIME>              The most time to take: seconds, or a number with `s`, `m` or `h`
                                        [default: 10m]
          --dry-run                     Decide and check every action, but perform none
          --confirm <WHEN>              Whether to ask before each action [default: never] [possible
                                        values: always, never]
          --wait-for-user               Where there is no terminal, wait for `handsight resume` when the
                                        model asks for help; otherwise the run ends then
          --trace <DIR>                 Record screenshots, decisions and actions in this folder
          --policy <FILE>               The safety policy that says what may be done; by default
                                        `handsight/policy.yaml` in the user's configuration folder, if
                                        there is one
          --no-paste                    Type every text on a desktop, however long, and leave the
                                        clipboard alone
          --secrets <FILE>              The file with the secrets that `{{secret:NAME}}` stands for; by
                                        default `handsight/secrets.yaml` in the user's configuration
                                        folder, if there is one
    ");
}

#[test]
fn help_of_ground() {
    assert_snapshot!(handsight().snapshot(&["ground", "--help"]), @r"
    exit code: 0
    --- stdout ---
    Find the things of a description on a picture, or read a document

    Usage: handsight ground [OPTIONS] <IMAGE> [DESCRIPTION]

    Arguments:
      <IMAGE>        The picture: PNG, JPEG, WebP, BMP or GIF
      [DESCRIPTION]  What to find, such as `Save button`

    Options:
          --boxes                Find all such things, and tell the box around each
          --points               Find all such things, and tell a point on each
          --document             Read the picture as a document: headings, paragraphs and tables, with
                                 the box of each
          --annotated <OUT.png>  Write the picture with all places marked to this PNG file
          --html <OUT.html>      Write the document as a web page to this file
          --max-tokens <N>       The most tokens of a list, 2048 by default, or of a document, 8192
          --model <MODEL>        The model: `embedded`, the folder of a checkpoint, a `.gguf` file, a
                                 name that `models list` shows, or a server's, `http://host/v1#name`
                                 [default: embedded]
          --mmproj <FILE>        The vision tower's file of a model in GGUF, if it is not the one beside
                                 it
          --compute <WHERE>      Where the model runs: `cpu`, `cuda:N`, `metal:N`, several such as
                                 `cuda:0=20GB,cuda:1,cpu`, each filled before the next is used, or
                                 `auto` [default: cpu] [alias: --device-map]
          --memory <SIZE>        The most memory to take, such as `6GB`; by default what is free
          --dtype <DTYPE>        What weights are kept in; by default as they are stored, and small
                                 models in f32
          --quantize <TYPE>      Quantise the weights as they are loaded: `q4k`, `q5k`, `q6k` or `q8_0`
          --exact                Compute in f32 even where weights are quantised, on the CPU: slower,
                                 and closer to the reference
          --family <NAME>        The family of fine-tunes the model is of, or a .toml file; by default
                                 what its name tells
          --prompt <PROFILE>     How to talk to the model; by default as its family or config.json says,
                                 for the screen [possible values: embedded-v1, computer-use, mobile-use]
          --pixels <N|auto>      The most pixels of a picture the model sees; `auto`: what a screen like
                                 this needs, and then a closer look; by default what suits its family
                                 [alias: --max-pixels]
          --json                 Print one JSON object on stdout instead of text for people
      -h, --help                 Print help

    Model on a server:
          --server-timeout <TIME>       How long one answer may take, repetitions included [default: 5m]
          --server-schema <FORM>        The form in which the server is sent a JSON Schema; by default
                                        the one that works [possible values: json-schema, guided-json,
                                        json-object, none]
          --server-max-pixels <PIXELS>  The most pixels the server's model takes an image at, if fewer
                                        than the family's
    ");
}

#[test]
fn help_of_ask() {
    assert_snapshot!(handsight().snapshot(&["ask", "--help"]), @r"
    exit code: 0
    --- stdout ---
    Ask a question about pictures and videos

    Usage: handsight ask [OPTIONS] [IMAGE]... <QUESTION>

    Arguments:
      <IMAGE... QUESTION>...  The pictures, `-` for one on stdin, and last the question

    Options:
          --video <VIDEO>     A video to show, too: a file, an animated GIF or a folder of frames; may
                              be repeated
          --fps <N>           Frames a second to take of a video, 2 by default; of a folder, how many it
                              has
          --schema <FILE>     Answer in JSON that follows the JSON Schema in this file
          --regex <REGEX>     Answer with a text that matches this regular expression as a whole
          --max-tokens <N>    The most tokens of the answer [default: 512]
          --temperature <T>   How freely words are drawn, up to 2; 0 takes the likeliest [default: 0]
          --seed <N>          Makes what is drawn at a temperature repeatable
          --stop <TEXT>       End the answer before this text; may be repeated
          --model <MODEL>     The model: `embedded`, the folder of a checkpoint, a `.gguf` file, a name
                              that `models list` shows, or a server's, `http://host/v1#name` [default:
                              embedded]
          --mmproj <FILE>     The vision tower's file of a model in GGUF, if it is not the one beside it
          --compute <WHERE>   Where the model runs: `cpu`, `cuda:N`, `metal:N`, several such as
                              `cuda:0=20GB,cuda:1,cpu`, each filled before the next is used, or `auto`
                              [default: cpu] [alias: --device-map]
          --memory <SIZE>     The most memory to take, such as `6GB`; by default what is free
          --dtype <DTYPE>     What weights are kept in; by default as they are stored, and small models
                              in f32
          --quantize <TYPE>   Quantise the weights as they are loaded: `q4k`, `q5k`, `q6k` or `q8_0`
          --exact             Compute in f32 even where weights are quantised, on the CPU: slower, and
                              closer to the reference
          --family <NAME>     The family of fine-tunes the model is of, or a .toml file; by default what
                              its name tells
          --prompt <PROFILE>  How to talk to the model; by default as its family or config.json says,
                              for the screen [possible values: embedded-v1, computer-use, mobile-use]
          --pixels <N|auto>   The most pixels of a picture the model sees; `auto`: what a screen like
                              this needs, and then a closer look; by default what suits its family
                              [alias: --max-pixels]
          --json              Print one JSON object on stdout instead of text for people
      -h, --help              Print help

    Model on a server:
          --server-timeout <TIME>       How long one answer may take, repetitions included [default: 5m]
          --server-schema <FORM>        The form in which the server is sent a JSON Schema; by default
                                        the one that works [possible values: json-schema, guided-json,
                                        json-object, none]
          --server-max-pixels <PIXELS>  The most pixels the server's model takes an image at, if fewer
                                        than the family's
    ");
}

#[test]
fn help_of_act() {
    assert_snapshot!(handsight().snapshot(&["act", "--help"]), @r#"
    exit code: 0
    --- stdout ---
    Do one action to a screen

    Usage: handsight act [OPTIONS] <ACTION_JSON>

    Arguments:
      <ACTION_JSON>  The action, such as `{"action":"left_click","coordinate":[120,44]}`

    Options:
          --device <DEVICE>    The screen: `desktop`, `android` for the phone that is connected,
                               `android:SERIAL` for one of several, or `still:FILE` for a picture on
                               which nothing is performed [default: desktop]
          --monitor <MONITOR>  The monitor: its number or name as `devices` lists them, or
                               `window:TITLE` for the one with that window; the primary one by default
          --window <TITLE>     Only this window, wherever it goes: a regular expression found in its
                               title, or the number that `devices` lists
          --region <X,Y,W,H>   Only this part of the monitor or window, in its pixels
          --dry-run            Check the action against the screen and the safety policy, but do not
                               perform it
          --policy <FILE>      The safety policy that says what may be done; by default
                               `handsight/policy.yaml` in the user's configuration folder, if there is
                               one
          --no-paste           Type every text on a desktop, however long, and leave the clipboard alone
          --secrets <FILE>     The file with the secrets that `{{secret:NAME}}` stands for; by default
                               `handsight/secrets.yaml` in the user's configuration folder, if there is
                               one
          --json               Print one JSON object on stdout instead of text for people
      -h, --help               Print help
    "#);
}

#[test]
fn help_of_screenshot() {
    assert_snapshot!(handsight().snapshot(&["screenshot", "--help"]), @r"
    exit code: 0
    --- stdout ---
    Take a screenshot

    Usage: handsight screenshot [OPTIONS] <OUT.png>

    Arguments:
      <OUT.png>  The PNG file to write; `-` writes it to stdout

    Options:
          --device <DEVICE>    The screen: `desktop`, `android` for the phone that is connected,
                               `android:SERIAL` for one of several, or `still:FILE` for a picture on
                               which nothing is performed [default: desktop]
          --monitor <MONITOR>  The monitor: its number or name as `devices` lists them, or
                               `window:TITLE` for the one with that window; the primary one by default
          --window <TITLE>     Only this window, wherever it goes: a regular expression found in its
                               title, or the number that `devices` lists
          --region <X,Y,W,H>   Only this part of the monitor or window, in its pixels
          --json               Print one JSON object on stdout instead of text for people
      -h, --help               Print help
    ");
}

#[test]
fn help_of_devices() {
    assert_snapshot!(handsight().snapshot(&["devices", "--help"]), @r"
    exit code: 0
    --- stdout ---
    List the screens that can be observed and acted on: monitors and phones

    Usage: handsight devices [OPTIONS] [COMMAND]

    Commands:
      connect       Connect to a phone on the network
      pair          Make a phone on the network trust this computer, by the six digits it shows
      disconnect    Let go of a phone on the network
      fake-android  Be a phone that other programs can reach over ADB, to try things out on
      help          Print this message or the help of the given subcommand(s)

    Options:
          --json  Print one JSON object on stdout instead of text for people
      -h, --help  Print help
    ");
}

#[test]
fn help_of_devices_connect_pair_and_disconnect() {
    assert_snapshot!(handsight().snapshot(&["devices", "connect", "--help"]), @r"
    exit code: 0
    --- stdout ---
    Connect to a phone on the network

    Usage: handsight devices connect [OPTIONS] <HOST[:PORT]>

    Arguments:
      <HOST[:PORT]>  Where it is; the port is 5555 if none is given

    Options:
          --json  Print one JSON object on stdout instead of text for people
      -h, --help  Print help
    ");
    assert_snapshot!(handsight().snapshot(&["devices", "pair", "--help"]), @r"
    exit code: 0
    --- stdout ---
    Make a phone on the network trust this computer, by the six digits it shows

    Usage: handsight devices pair [OPTIONS] <HOST:PORT> <CODE>

    Arguments:
      <HOST:PORT>  What the phone shows beside the digits
      <CODE>       The digits

    Options:
          --json  Print one JSON object on stdout instead of text for people
      -h, --help  Print help
    ");
    assert_snapshot!(handsight().snapshot(&["devices", "disconnect", "--help"]), @r"
    exit code: 0
    --- stdout ---
    Let go of a phone on the network

    Usage: handsight devices disconnect [OPTIONS] <HOST[:PORT]>

    Arguments:
      <HOST[:PORT]>  Where it is; the port is 5555 if none is given

    Options:
          --json  Print one JSON object on stdout instead of text for people
      -h, --help  Print help
    ");
}

#[test]
fn help_of_devices_fake_android() {
    assert_snapshot!(handsight().snapshot(&["devices", "fake-android", "--help"]), @r"
    exit code: 0
    --- stdout ---
    Be a phone that other programs can reach over ADB, to try things out on

    Usage: handsight devices fake-android [OPTIONS]

    Options:
          --addr <IP:PORT>  Where to listen, on this machine only; a port of 0 takes a free one
                            [default: 127.0.0.1:6555]
          --size <WxH>      The size of its screen, upright [default: 360x640]
          --density <N>     Pixels to an inch [default: 160]
          --auth            Ask each client for a key, and accept it
          --json            Print one JSON object on stdout instead of text for people
      -h, --help            Print help
    ");
}

#[test]
fn help_of_doctor() {
    assert_snapshot!(handsight().snapshot(&["doctor", "--help"]), @r"
    exit code: 0
    --- stdout ---
    Prove capture, pointer, keyboard, model and traces, and say how to mend what fails

    Usage: handsight doctor [OPTIONS]

    Options:
          --device <DEVICE>    The screen: `desktop`, `android` for the phone that is connected,
                               `android:SERIAL` for one of several, or `still:FILE` for a picture on
                               which nothing is performed [default: desktop]
          --monitor <MONITOR>  The monitor: its number or name as `devices` lists them, or
                               `window:TITLE` for the one with that window; the primary one by default
          --window <TITLE>     Only this window, wherever it goes: a regular expression found in its
                               title, or the number that `devices` lists
          --region <X,Y,W,H>   Only this part of the monitor or window, in its pixels
          --calibrate          Only measure how far clicks arrive from where they were meant, on every
                               monitor or the one that is named
          --model <MODEL>      The model: `embedded`, the folder of a checkpoint, a `.gguf` file, a name
                               that `models list` shows, or a server's, `http://host/v1#name` [default:
                               embedded]
          --mmproj <FILE>      The vision tower's file of a model in GGUF, if it is not the one beside
                               it
          --compute <WHERE>    Where the model runs: `cpu`, `cuda:N`, `metal:N`, several such as
                               `cuda:0=20GB,cuda:1,cpu`, each filled before the next is used, or `auto`
                               [default: cpu] [alias: --device-map]
          --memory <SIZE>      The most memory to take, such as `6GB`; by default what is free
          --dtype <DTYPE>      What weights are kept in; by default as they are stored, and small models
                               in f32
          --quantize <TYPE>    Quantise the weights as they are loaded: `q4k`, `q5k`, `q6k` or `q8_0`
          --exact              Compute in f32 even where weights are quantised, on the CPU: slower, and
                               closer to the reference
          --family <NAME>      The family of fine-tunes the model is of, or a .toml file; by default
                               what its name tells
          --prompt <PROFILE>   How to talk to the model; by default as its family or config.json says,
                               for the screen [possible values: embedded-v1, computer-use, mobile-use]
          --pixels <N|auto>    The most pixels of a picture the model sees; `auto`: what a screen like
                               this needs, and then a closer look; by default what suits its family
                               [alias: --max-pixels]
          --json               Print one JSON object on stdout instead of text for people
      -h, --help               Print help

    Model on a server:
          --server-timeout <TIME>       How long one answer may take, repetitions included [default: 5m]
          --server-schema <FORM>        The form in which the server is sent a JSON Schema; by default
                                        the one that works [possible values: json-schema, guided-json,
                                        json-object, none]
          --server-max-pixels <PIXELS>  The most pixels the server's model takes an image at, if fewer
                                        than the family's
    ");
}

#[test]
fn help_of_schema() {
    assert_snapshot!(handsight().snapshot(&["schema", "--help"]), @r"
    exit code: 0
    --- stdout ---
    Print the JSON Schema of actions, safety policies, scenarios and tools

    Usage: handsight schema [OPTIONS] [KIND]

    Arguments:
      [KIND]  `action` for those of `act` and traces, `policy` for a safety policy, `scenario` for a
              scenario file, `tools` for what other programs can ask for, `openapi` for the document of
              `serve`'s agent API; the others are the functions a checkpoint calls [default: action]
              [possible values: action, policy, scenario, tools, openapi, computer-use, mobile-use]

    Options:
          --width <PIXELS>   Bound the points to a screen this many pixels wide
          --height <PIXELS>  Bound the points to a screen this many pixels high
          --json             Print one JSON object on stdout instead of text for people
      -h, --help             Print help
    ");
}

#[test]
fn help_of_demo() {
    assert_snapshot!(handsight().snapshot(&["demo", "--help"]), @r"
    exit code: 0
    --- stdout ---
    Watch the agent fill in a real window, and check the window's own word on it

    Usage: handsight demo [OPTIONS]

    Options:
          --virtual           Use a virtual display even where there is a real one
          --window <NAME>     Which program's window to use [default: zenity] [possible values: zenity,
                              chromium]
          --trace <DIR>       Record and report in this folder; a new one in `handsight-runs` by default
          --model <MODEL>     The model: `embedded`, the folder of a checkpoint, a `.gguf` file, a name
                              that `models list` shows, or a server's, `http://host/v1#name` [default:
                              embedded]
          --mmproj <FILE>     The vision tower's file of a model in GGUF, if it is not the one beside it
          --compute <WHERE>   Where the model runs: `cpu`, `cuda:N`, `metal:N`, several such as
                              `cuda:0=20GB,cuda:1,cpu`, each filled before the next is used, or `auto`
                              [default: cpu] [alias: --device-map]
          --memory <SIZE>     The most memory to take, such as `6GB`; by default what is free
          --dtype <DTYPE>     What weights are kept in; by default as they are stored, and small models
                              in f32
          --quantize <TYPE>   Quantise the weights as they are loaded: `q4k`, `q5k`, `q6k` or `q8_0`
          --exact             Compute in f32 even where weights are quantised, on the CPU: slower, and
                              closer to the reference
          --family <NAME>     The family of fine-tunes the model is of, or a .toml file; by default what
                              its name tells
          --prompt <PROFILE>  How to talk to the model; by default as its family or config.json says,
                              for the screen [possible values: embedded-v1, computer-use, mobile-use]
          --pixels <N|auto>   The most pixels of a picture the model sees; `auto`: what a screen like
                              this needs, and then a closer look; by default what suits its family
                              [alias: --max-pixels]
          --json              Print one JSON object on stdout instead of text for people
      -h, --help              Print help

    Model on a server:
          --server-timeout <TIME>       How long one answer may take, repetitions included [default: 5m]
          --server-schema <FORM>        The form in which the server is sent a JSON Schema; by default
                                        the one that works [possible values: json-schema, guided-json,
                                        json-object, none]
          --server-max-pixels <PIXELS>  The most pixels the server's model takes an image at, if fewer
                                        than the family's
    ");
}

#[test]
fn help_of_trace() {
    assert_snapshot!(handsight().snapshot(&["trace", "--help"]), @r"
    exit code: 0
    --- stdout ---
    Read a recorded episode

    Usage: handsight trace [OPTIONS] <COMMAND>

    Commands:
      show      Print the steps of a trace
      report    Write an HTML page with the steps and screenshots of a trace
      redecide  Ask a model again on the screens of a trace, and show what it would do differently
      help      Print this message or the help of the given subcommand(s)

    Options:
          --json  Print one JSON object on stdout instead of text for people
      -h, --help  Print help
    ");
}
