"""Goals, thoughts and actions of the `embedded-v1` prompt profile, as text.

A clause is a dict: op click|double|right|type|key|scroll with label / text / keys / direction. `steps` expands clauses
to canonical thoughts (type … into … takes two). All phrasings are drawn here, so the generators of pictures and the
text-only sequences share them.
"""
import json
import string

from labels import typed_text
from vocabulary import CLICK, DOUBLE, FAILURE, KEY, RIGHT, SCROLL, SUCCESS, TYPE

POINT = {"click": CLICK, "double": DOUBLE, "right": RIGHT}
PHRASE = {"click": "click", "double": "double click", "right": "right click"}
VERBS = {"check": ["tick", "check", "uncheck", "click", "select"], "radio": ["choose", "select", "click", "tick"],
         "tab": ["choose", "open", "select", "click", "click on"], "menu": ["open", "click", "choose", "click on"],
         "combo": ["open", "click", "select", "choose"], "link": ["click", "open", "click on", "press"],
         "item": ["choose", "select", "click", "open"], "field": ["click", "click on", "select"],
         "button": ["click", "press", "click on", "choose"]}
ANY_VERB = ["click", "click on", "press", "choose", "select", "open", "tick", "check", "uncheck"]
PLAIN_KEYS = ["Enter", "Tab", "Escape", "Esc", "Backspace", "Delete", "Space", "Up", "Down", "Left", "Right", "Home",
              "End", "PageUp", "PageDown", "Insert"] + ["F%d" % i for i in range(1, 13)]
JOINTS = [", ", " then ", ", then ", "; ", ". ", "\n", " and "]


def key_combo(r):
    if r.random() < .55:
        return [r.choice(PLAIN_KEYS)]
    mods = r.choice([["Ctrl"], ["Ctrl"], ["Alt"], ["Shift"], ["Ctrl", "Shift"], ["Ctrl", "Alt"], ["Super"]])
    return mods + [r.choice(PLAIN_KEYS) if r.random() < .3 else r.choice(string.ascii_uppercase + string.digits)]


def steps(clauses):
    out = []
    for c in clauses:
        if c["op"] in POINT:
            out.append(dict(c, thought=f'{PHRASE[c["op"]]} "{c["label"]}"'))
        elif c["op"] == "type":
            if c.get("label"):
                out.append(dict(op="click", label=c["label"], at_label=c.get("at_label"), thought=f'click "{c["label"]}"'))
            out.append(dict(op="type", text=c["text"], at_text=c.get("at_text"), thought=f'type "{c["text"]}"'))
        elif c["op"] == "key":
            out.append(dict(c, thought="press " + "+".join(c["keys"])))
        else:
            out.append(dict(c, thought="scroll " + c["direction"]))
    return out


def action_tail(step):
    """(scaffold, rest) of a non-pointing action"""
    if step is None:
        return SUCCESS, ""
    if step["op"] == "type":
        return TYPE, json.dumps(step["text"], ensure_ascii=False)[1:-1] + '"}'
    if step["op"] == "key":
        return KEY, '","'.join(k.lower() for k in step["keys"]) + '"]}'
    return SCROLL[step["direction"]], ""


def clause_text(r, c, quoted=True):
    op = c["op"]
    if op in POINT:
        label = c["label"]
        if op == "click":
            verb = r.choice(VERBS.get(c.get("kind"), ANY_VERB)) if r.random() < .75 else "click"
        else:
            verb = PHRASE[op]
        if verb == "press" and (label in PLAIN_KEYS or "+" in label):
            quoted = True
        if not quoted and (" and " in label or "," in label or ";" in label or ". " in label or " then " in label):
            quoted = True
        return f'{verb} "{label}"' if quoted else f"{verb} {label}"
    if op == "type":
        t, label = c["text"], c.get("label")
        if not label:
            return f'{r.choice(["type", "enter"])} "{t}"'
        name = f'"{label}"' if quoted else label
        if r.random() < .25:
            return f'fill {name} with "{t}"'
        return f'{r.choice(["type", "enter"])} "{t}" {r.choice(["into", "into", "in"])} {name}'
    if op == "key":
        return "press " + "+".join(c["keys"])
    return "scroll " + c["direction"]


def goal_text(r, clauses):
    """the goal's sentence; stores in every clause where its label, typed text or keys stand (`at_label`, `at_text`)"""
    quoted = r.random() < .82
    joint = r.choice(JOINTS)
    out = ""
    for i, c in enumerate(clauses):
        t = clause_text(r, c, quoted or r.random() < .3)
        if i:
            j = joint if r.random() < .8 else r.choice(JOINTS)
            if i == len(clauses) - 1 and j == ", " and r.random() < .3:
                j = r.choice([" and ", ", then ", " then "])
            out += j
            if j in (". ", "\n") and r.random() < .5:
                t = t[0].upper() + t[1:]
        elif r.random() < .4:
            t = t[0].upper() + t[1:]
        for name, at in (("label", "at_label"), ("text", "at_text")):
            if c.get(name) and c["op"] != "key":
                other = t.find('"' + c[name] + '"') + 1                  # 0: the label stands without quotes
                c[at] = len(out) + (other or t.rfind(c[name]))
        if c["op"] == "key":
            c["at_text"] = len(out) + len("press ")
        out += t
    return out + "." if r.random() < .15 else out


def random_clause(r, label, typed=None):
    """a clause about things that need no picture; `label()` draws a label"""
    k = r.random()
    if k < .42:
        return dict(op=r.choices(["click", "double", "right"], [8, 1, 1])[0], label=label(), kind=r.choice(list(VERBS)))
    if k < .82:
        return dict(op="type", text=typed or typed_text(r), label=label() if r.random() < .85 else None)
    if k < .92:
        return dict(op="key", keys=key_combo(r))
    return dict(op="scroll", direction=r.choice(["down", "up"]))


def copied(step):
    """(text that the thought copies from the goal, where it stands there)"""
    if step is None or step["op"] == "scroll":
        return None, None
    if step["op"] == "key":
        return "+".join(step["keys"]), step.get("at_text")
    return (step["label"], step.get("at_label")) if step["op"] in POINT else (step["text"], step.get("at_text"))


def user_text(goal, done):
    return goal + ("\nDone: " + "; ".join(done) if done else "")
