#!/usr/bin/env python3
"""Holds a build against pictures and captions that were labelled by eye.

    for name in openclipart gimphelp tuxpaint; do albef corpus fetch $name DIR; done
    (cd DIR && albef corpus build openclipart gimphelp tuxpaint --out OUT)
    python3 scripts/noise_labels.py docs/noise/labels.jsonl DIR OUT

Prints for each rule how much of what it took is what it is meant to take (precision), and how much of such noise any
rule took (recall). Labels carry no text of the collections: a caption is known by the first 12 digits of its SHA-256.
Records were drawn by rule, so each stands for as many as its weight says; docs/noise.md tells how they were chosen.
"""
import collections
import hashlib
import json
import pathlib
import sys

# The label that each rule is meant to find.
MEANT = {
    "image_too_many_pixels": "image_huge", "image_too_small": "image_small", "image_aspect": "image_aspect",
    "image_blank": "image_blank", "caption_empty": "empty", "caption_too_short": "too_short",
    "caption_too_long": "too_long", "caption_file_name": "file_name", "caption_url": "url", "caption_email": "email",
    "caption_markup": "markup", "caption_boilerplate": "boilerplate", "caption_keyword_stuffing": "stuffing",
    "caption_repeated_words": "repeated", "caption_few_letters": "few_letters", "caption_language": "language",
}


def read(labels, collections_folder):
    """Labels by key, and the key of each record of each collection by (source, line)."""
    wanted, pairs = {}, []
    for line in open(labels, encoding="utf8"):
        label = json.loads(line)
        if "same" in label:
            pairs.append(label)
        else:
            wanted[label["source"], label["image"], label["field"], label["caption"]] = label
    records, images = {}, {}
    for source in ("openclipart", "gimphelp", "tuxpaint"):
        path = pathlib.Path(collections_folder) / source / "pairs.jsonl"
        for number, line in enumerate(open(path, encoding="utf8"), 1):
            pair = json.loads(line)
            digest = hashlib.sha256(pair["caption"].encode()).hexdigest()[:12]
            records[source, number] = source, pair["image"], pair["field"], digest
            images[source, number] = pair["image"]
    return wanted, pairs, records, images


def main():
    labels, collections_folder, out = sys.argv[1:]
    wanted, pairs, records, images = read(labels, collections_folder)
    reasons, order = {}, list(records)
    taken_pairs = set()
    for line in open(pathlib.Path(out) / "dropped.jsonl", encoding="utf8"):
        dropped = json.loads(line)
        if "caption" in dropped:
            continue  # trimmed, not dropped
        source = pathlib.Path(dropped["origin"]["source"]).name
        at = source, dropped["origin"]["at"]["line"]
        reasons.setdefault(records[at], dropped["reason"])
        if dropped["reason"] in ("duplicate_image", "near_duplicate_image"):
            other = order[int(dropped["measured"].split()[-1])]
            taken_pairs.add((at[0], images[at], other[0], images[other]))

    found, known = collections.Counter(), set(records.values())
    for at, label in wanted.items():
        if at not in known:
            sys.exit(f"{labels}: no record for {at}; is it another version of the package?")
        reason, weight = reasons.get(at), label["weight"]
        if reason in MEANT:
            found[reason, "taken"] += weight
            found[reason, "right"] += weight * (MEANT[reason] in label["labels"])
            found[reason, "noise"] += weight * bool(label["labels"])
            found[reason, "looked at"] += 1
        for rule, meant in MEANT.items():
            if meant in label["labels"]:
                found[rule, "there"] += weight
                found[rule, "gone"] += weight * (reason is not None)

    share = lambda part, whole: f"{part / whole:7.2f}" if whole else "      –"
    print(f"{'rule':26}{'looked at':>10}{'precision':>11}{'any noise':>11}{'recall':>9}")
    for rule in MEANT:
        n = lambda what: found[rule, what]
        print(f"{rule:26}{n('looked at'):10}{share(n('right'), n('taken')):>11}"
              f"{share(n('noise'), n('taken')):>11}{share(n('gone'), n('there')):>9}")
    same = collections.Counter()
    for pair in pairs:
        a, b = pair["left"], pair["right"]
        taken = any((*x, *y) in taken_pairs for x, y in ((tuple(a), tuple(b)), (tuple(b), tuple(a))))
        same[pair["same"], taken] += 1
    print("pairs of pictures      " + "".join(f"{name:>12}" for name in ("same", "unsure", "different")))
    for taken, name in ((True, "taken for one"), (False, "left")):
        print(f"{name:23}" + "".join(f"{same[label, taken]:12}" for label in ("same", "unsure", "different")))


if __name__ == "__main__":
    main()
