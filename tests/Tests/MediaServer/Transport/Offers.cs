using System.Text;
using VoicePlatform.MediaServer.Transport.Dtls;

namespace VoicePlatform.Tests.MediaServer.Transport;

/// <summary>Offers of the same structure as those of the official clients, in which tests vary what they are about.</summary>
internal sealed class Offers
{
    public string Ufrag { get; set; } = "C5pX";

    public string Password { get; set; } = "8R+9X9rm48F6y4mMuLw+LjC+";

    public string Fingerprint { get; set; } = new CertificateFingerprint(new byte[32]).ToString();

    public string Setup { get; set; } = "actpass";

    private readonly List<(string Mid, Func<string> Body)> _sections = [];

    /// <summary>What current clients send first: receive-only sections in stock, video too, and data channels.</summary>
    public static Offers First(int receiving = 3) => new Offers().Receive(receiving).Video().Data();

    public Offers Receive(int count = 1, bool withRed = true)
    {
        for (var i = 0; i < count; i++)
        {
            Audio("recvonly", "", withRed);
        }

        return this;
    }

    public Offers Send(string trackId, uint? ssrc = null, bool withRed = true) => Audio(
        "sendonly",
        $"a=msid:- {trackId}\r\n" + (ssrc is null ? "" : $"a=ssrc:{ssrc} cname:x\r\na=ssrc:{ssrc} msid:- {trackId}\r\n"),
        withRed);

    public Offers Video(string direction = "recvonly") => Add(mid => Section(
        "video", "96 97", mid, "a=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack pli\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\na=rtcp-mux\r\na=" + direction + "\r\n"));

    public Offers Data() => Add(mid => Section("application", "webrtc-datachannel", mid, "a=sctp-port:5000\r\na=max-message-size:262144\r\n", "UDP/DTLS/SCTP"));

    public Offers Add(Func<string, string> section)
    {
        var mid = _sections.Count.ToString();
        _sections.Add((mid, () => section(mid)));
        return this;
    }

    /// <summary>Replaces a section by one of another direction, as a transceiver that changed.</summary>
    public Offers Change(int index, string direction, string extra = "")
    {
        var mid = _sections[index].Mid;
        _sections[index] = (mid, () => AudioSection(mid, direction, extra, withRed: true));
        return this;
    }

    public override string ToString()
    {
        var sdp = new StringBuilder();
        sdp.Append("v=0\r\no=- 5436873923040410597 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=extmap-allow-mixed\r\na=msid-semantic:  WMS\r\n");
        sdp.Append("a=group:BUNDLE ").AppendJoin(' ', _sections.Select(s => s.Mid)).Append("\r\n");
        foreach (var (_, body) in _sections)
        {
            sdp.Append(body());
        }

        return sdp.ToString();
    }

    private Offers Audio(string direction, string extra, bool withRed) => Add(mid => AudioSection(mid, direction, extra, withRed));

    private string AudioSection(string mid, string direction, string extra, bool withRed) => Section(
        "audio",
        withRed ? "111 63 9 0 8 13 110 126" : "111 9 0 8 13 110 126",
        mid,
        "a=rtpmap:111 opus/48000/2\r\n" + (withRed ? "a=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\n" : "")
        + "a=rtpmap:9 G722/8000\r\na=rtpmap:110 telephone-event/48000\r\na=fmtp:111 minptime=10;useinbandfec=1\r\na=rtcp-fb:111 transport-cc\r\n"
        + "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n"
        + "a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n"
        + "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n"
        + $"a={direction}\r\n{extra}a=rtcp-mux\r\na=rtcp-rsize\r\n");

    private string Section(string kind, string formats, string mid, string body, string protocol = "UDP/TLS/RTP/SAVPF") =>
        $"m={kind} 9 {protocol} {formats}\r\nc=IN IP4 0.0.0.0\r\na=setup:{Setup}\r\na=mid:{mid}\r\n{body}"
        + $"a=ice-ufrag:{Ufrag}\r\na=ice-pwd:{Password}\r\na=fingerprint:sha-256 {Fingerprint}\r\na=ice-options:trickle\r\n";
}
