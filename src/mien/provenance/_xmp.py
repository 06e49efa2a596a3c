"""The XMP packet that marked files carry, whatever their format."""

from __future__ import annotations

from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

TERMS = "http://cv.iptc.org/newscodes/digitalsourcetype/"
EDITED = TERMS + "compositeWithTrainedAlgorithmicMedia"
GENERATED = TERMS + "trainedAlgorithmicMedia"
BEGIN, END = b"<?xpacket begin=", b'<?xpacket end="w"?>'
NOTE = "urn:mien:note"  # namespace of our one property


def packet(text: str, generated: bool = False) -> bytes:
    """The packet with IPTC's digital source type and a note.

    generated: the whole picture came from a model; else a photo was edited by one.
    """
    source = GENERATED if generated else EDITED
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about=""'
        ' xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
        f' xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:mien="{NOTE}"'
        f" Iptc4xmpExt:DigitalSourceType={quoteattr(source)}"
        f' xmp:CreatorTool="mien" mien:note={quoteattr(text)}/>'
        f"</rdf:RDF></x:xmpmeta>{END.decode()}"
    ).encode()


def note_in(data: bytes) -> str:
    """The note of the first packet in a file's bytes, "" when there is none.

    Packets are made to be found like this (XMP specification, part 3), so no parser of the
    file's format is needed.
    """
    start, end = data.find(BEGIN), data.find(END)
    if start < 0 or end < start:
        return ""
    body = data[start:end].partition(b"?>")[2]
    if b"<!" in body:  # a document type could define entities; ours has none
        return ""
    try:
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError:
        return ""
    notes = (element.get(f"{{{NOTE}}}note") for element in root.iter())
    return next((note for note in notes if note), "")
