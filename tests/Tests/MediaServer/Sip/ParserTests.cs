using System.Text;
using VoicePlatform.MediaServer.Sip.Signalling;

namespace VoicePlatform.Tests.MediaServer.Sip;

[TestFixture]
internal sealed class ParserTests
{
    private const string Invite =
        "INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0\r\nTO :\r\n sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n\r\n"
        + "from   : \"J Rosenberg \\\\\\\"\"       <sip:jdrosen@example.com>\r\n  ;\r\n  tag = 98asjd8\r\nMaX-fOrWaRdS: 0068\r\nCall-ID: wsinv.ndaksdj@192.0.2.1\r\n"
        + "cseq: 0009\r\n  INVITE\r\nVia  : SIP  /   2.0\r\n /UDP\r\n    192.0.2.2;branch=390skdjuw\r\ns :\r\nContent-Type: application/sdp\r\n"
        + "Route:\r\n <sip:services.example.com;lr;unknownwith=value;unknown-no-value>\r\nv:  SIP  / 2.0  / TCP     spindle.example.com   ;\r\n"
        + "  branch  =   z9hG4bK9ikj8  ,\r\n SIP  /    2.0   / UDP  192.168.255.111   ; branch=\r\n z9hG4bK30239\r\n"
        + "m:\"Quoted string \\\"\\\"\" <sip:jdrosen@example.com> ; newparam =\r\n      newvalue ;\r\n  secondparam ; q = 0.33\r\nContent-Length: 3\r\n\r\nabcdef";

    /// <summary>After RFC 4475, 3.1.1.1: everything is allowed in it.</summary>
    [Test]
    public void A_message_written_in_the_strangest_legal_way_is_understood()
    {
        var (message, fault) = Parse(Invite);
        var request = (SipRequest)message!;

        Assert.That(fault, Is.Null);
        Assert.That(request.To!.Tag, Is.EqualTo("1918181833n"));
        Assert.That((request.From!.DisplayName, request.From.Tag, request.From.Uri.User), Is.EqualTo(("J Rosenberg \\\"", "98asjd8", "jdrosen")));
        Assert.That(request.CSeq, Is.EqualTo(new CSeq(9, "INVITE")));
        Assert.That(request.Headers.Values("Via").Count(), Is.EqualTo(3));
        Assert.That((request.TopVia!.Protocol, request.TopVia.Host, request.TopVia.Branch), Is.EqualTo(("UDP", "192.0.2.2", "390skdjuw")));
        Assert.That(request.Contact!.Uri.ToString(), Is.EqualTo("sip:jdrosen@example.com"));
        Assert.That(request.Body, Is.EqualTo("abc"));
    }

    [TestCase("Call-ID: x\r\n", "", "Missing Call-ID")]
    [TestCase("CSeq: 1 INVITE", "CSeq: 1 BYE", "Malformed CSeq")]
    [TestCase("CSeq: 1 INVITE", "CSeq: 4294967296 INVITE", "Malformed CSeq")]
    [TestCase("CSeq: 1 INVITE", "CSeq: -1 INVITE", "Malformed CSeq")]
    [TestCase("<sip:a@b>", "<nonsense", "Malformed From")]
    [TestCase("SIP/2.0/UDP h", "SIP/1.0/UDP h", "Malformed Via")]
    [TestCase("Content-Length: 0", "Content-Length: x", "Malformed Content-Length")]
    [TestCase("Content-Length: 0", "Content-Length: 10", "Body shorter than Content-Length")]
    [TestCase("Content-Length: 0", "Content-Length: 0\r\nno colon", "Malformed header line")]
    public void What_is_wrong_with_a_message_is_named(string from, string to, string fault)
    {
        const string Good = "INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n";
        Assert.That(Parse(Good).Fault, Is.Null);
        Assert.That(Parse(Good.Replace(from, to, StringComparison.Ordinal)).Fault, Is.EqualTo(fault));
    }

    [TestCase("")]
    [TestCase("\r\n\r\n\r\n\r\n")]
    [TestCase("GET / HTTP/1.1\r\nHost: a\r\n\r\n")]
    [TestCase("SIP/2.0 99 Low\r\n\r\n")]
    [TestCase("SIP/2.0 700 High\r\n\r\n")]
    [TestCase("INVITE sip:a@b SIP/2.0\r\nVia: no end of head")]
    public void Rubbish_is_no_message(string text) => Assert.That(Parse(text).Message, Is.Null);

    [TestCase("sip:+1555;ext=7@host:5080;transport=TCP;lr", "+1555;ext=7", "host", 5080, SipTransport.Tcp)]
    [TestCase("SIPS:a%20b@[2001:db8::1]:5061", "a b", "[2001:db8::1]", 5061, SipTransport.Tls)]
    [TestCase("sip:host", "", "host", null, null)]
    [TestCase("sip:a:secret@host?Subject=x", "a", "host", null, null)]
    [TestCase("tel:+1-555-0100;phone-context=x", "+1-555-0100", "", null, null)]
    public void Uris_are_read_and_written(string text, string user, string host, int? port, SipTransport? transport)
    {
        var uri = SipUri.Parse(text);
        Assert.That((uri.User, uri.Host, uri.Port, uri.Transport), Is.EqualTo((user, host, port, transport)));
        Assert.That(SipUri.Parse(uri.ToString()), Is.EqualTo(uri));
    }

    [TestCase("sip:")]
    [TestCase("sip:@host")]
    [TestCase("sip:a@host:0")]
    [TestCase("sip:a@host:65536")]
    [TestCase("sip:a@ho st")]
    [TestCase("sip:a@[::1")]
    [TestCase("sip:a@host>\r\nX: y")]
    [TestCase("mailto:a@b")]
    public void What_is_no_uri_is_refused(string text) => Assert.That(SipUri.TryParse(text, out _), Is.False);

    [Test]
    public void What_we_write_we_read_and_nothing_in_a_value_makes_a_line_of_its_own()
    {
        var request = new SipRequest("INVITE", "sip:a@b") { Body = "é\r\n" };
        foreach (var (name, value) in new[] { ("Via", "SIP/2.0/UDP h;branch=z9hG4bK1"), ("From", "<sip:a@b>;tag=1"), ("To", "<sip:c@d>"), ("Call-ID", "x"), ("CSeq", "1 INVITE"), ("X-Evil", "a\r\nVia: b") })
        {
            request.Headers.Add(name, value);
        }

        var read = (SipRequest)Parse(Encoding.UTF8.GetString(SipWriter.Write(request))).Message!;

        Assert.That(read.Headers.All("Via").Count(), Is.EqualTo(1));
        Assert.That(read.Headers["X-Evil"], Is.EqualTo("a  Via: b"));
        Assert.That((read.Body, read.Headers["Content-Length"]), Is.EqualTo(("é\r\n", "4")));
    }

    [Test]
    public void Mutated_messages_never_throw()
    {
        var random = new Random(5060);
        var seeds = new[] { Invite, "SIP/2.0 200 OK\r\nVia: SIP/2.0/TLS [::1]:5061;branch=z9hG4bK;rport\r\nf: <sips:a@b>\r\nt: x\r\ni: y\r\nCSeq: 1 INVITE\r\n\r\n" }.Select(Encoding.UTF8.GetBytes).ToArray();
        byte[] marks = [.. "\r\n\t :;,<>\"\\=@%[]/?0"u8, 0, 255, 0xC3];
        for (var i = 0; i < 30_000; i++)
        {
            var bytes = seeds[random.Next(seeds.Length)].ToList();
            for (var edits = random.Next(12); edits >= 0; edits--)
            {
                var at = random.Next(bytes.Count);
                switch (random.Next(3))
                {
                    case 0:
                        bytes[at] = marks[random.Next(marks.Length)];
                        break;
                    case 1:
                        bytes.RemoveRange(at, Math.Min(random.Next(20), bytes.Count - at - 1));
                        break;
                    default:
                        bytes.InsertRange(at, bytes.Slice(random.Next(at + 1), Math.Min(random.Next(30), bytes.Count - at)));
                        break;
                }
            }

            var text = bytes.ToArray();
            Assert.DoesNotThrow(() => Exercise(text), Convert.ToHexString(text));
        }
    }

    [Test]
    public void Mutated_streams_are_framed_or_given_up_and_always_move_on()
    {
        var random = new Random(5061);
        var seed = Encoding.UTF8.GetBytes("\r\n\r\nOPTIONS sip:a SIP/2.0\r\nContent-Length: 3\r\n\r\nabc\r\nOPTIONS sip:a SIP/2.0\r\nl:0\r\n\r\n");
        for (var i = 0; i < 20_000; i++)
        {
            var bytes = seed.ToArray();
            for (var edits = random.Next(5); edits > 0; edits--)
            {
                bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            }

            var at = 0;
            while (StreamFraming.Next(bytes.AsSpan(at), 500, out var length) is not (Frame.Incomplete or Frame.Lost))
            {
                Assert.That(length, Is.Positive);
                at += length;
            }

            Assert.That(at, Is.LessThanOrEqualTo(bytes.Length));
        }
    }

    [Test]
    public void Service_records_are_read_and_broken_ones_end_the_list()
    {
        byte[] answer =
        [
            0, 1, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0,
            4, .. "_sip"u8, 4, .. "_udp"u8, 1, .. "x"u8, 0, 0, 33, 0, 1,
            0xC0, 12, 0, 33, 0, 1, 0, 0, 0, 9, 0, 11, 0, 10, 0, 20, 0x13, 0xC4, 2, .. "ns"u8, 0xC0, 22,
        ];

        Assert.That(SrvQuery.Decode(answer), Is.EqualTo(new[] { new SrvRecord(10, 20, 5060, "ns.x") }));
        var random = new Random(53);
        for (var i = 0; i < 20_000; i++)
        {
            var bytes = answer[..random.Next(answer.Length + 1)];
            for (var edits = random.Next(6); edits > 0 && bytes.Length > 0; edits--)
            {
                bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            }

            Assert.DoesNotThrow(() => SrvQuery.Decode(bytes));
        }
    }

    private static Parsed Parse(string text) => SipParser.Parse(Encoding.UTF8.GetBytes(text));

    /// <summary>Everything that is read from a message later on.</summary>
    private static void Exercise(byte[] bytes)
    {
        if (SipParser.Parse(bytes).Message is not { } message)
        {
            return;
        }

        _ = (message.From?.Tag, message.To?.ToString(), message.Contact?.Uri.Transport, message.CSeq, SessionExpires.Of(message), SessionExpires.MinimumOf(message), MessageBody.Sdp(message));
        var via = message.TopVia?.Seen(TestAgent.Loopback(5060)).ToString();
        _ = via is null || Via.TryParse(via, out _);
        foreach (var name in new[] { "Route", "Record-Route", "Contact" })
        {
            _ = message.Headers.Values(name).Select(v => NameAddress.TryParse(v, out var a) ? a.ToString() : "").ToList();
        }

        SipWriter.Write(message);
        if (message is SipRequest request)
        {
            _ = Replies.To(request, 400, "Bad", "tag", "x");
            _ = SipUri.TryParse(request.RequestUri, out var uri) ? uri.ToString() : "";
        }
    }
}
