using System.Globalization;
using VoicePlatform.MediaServer.Transport.Dtls;

namespace VoicePlatform.MediaServer.Transport.Sdp;

/// <summary>
/// Reads offers (RFC 8866, RFC 8829): tolerant of what it does not know, strict about what it uses, bounded in what it takes in.
/// </summary>
internal static class OfferParser
{
    public const int MaxLength = 512 * 1024;
    public const int MaxSections = 256;

    private const int MaxFormats = 128;
    private const int MaxSsrcs = 16;
    private const int MaxToken = 256;

    /// <exception cref="SdpException">With one sentence about the first thing that is wrong.</exception>
    public static SessionOffer Parse(string sdp)
    {
        if (sdp.Length > MaxLength)
        {
            throw new SdpException($"The offer is longer than {MaxLength} characters.");
        }

        var offer = new Reading();
        var isFirst = true;
        foreach (var raw in sdp.AsSpan().EnumerateLines())
        {
            var line = raw.TrimEnd();
            if (line.IsEmpty)
            {
                continue;
            }

            if (isFirst && !line.SequenceEqual("v=0"))
            {
                throw new SdpException("The offer does not begin with v=0.");
            }

            isFirst = false;
            if (line.Length < 2 || line[1] != '=')
            {
                throw new SdpException("The offer has a line that is not of the form <letter>=<value>.");
            }

            if (line[0] == 'm')
            {
                offer.Begin(ReadMedia(line[2..], offer.Sections.Count));
            }
            else if (line[0] == 'a')
            {
                var colon = line.IndexOf(':');
                offer.Apply(colon < 0 ? line[2..] : line[2..colon], colon < 0 ? default : line[(colon + 1)..]);
            }
        }

        return offer.Finish();
    }

    private static OfferedMedia ReadMedia(ReadOnlySpan<char> line, int index)
    {
        if (index == MaxSections)
        {
            throw new SdpException($"The offer has more than {MaxSections} sections.");
        }

        var parts = line.ToString().Split(' ', MaxFormats + 4, StringSplitOptions.RemoveEmptyEntries);
        if (parts.Length < 4 || parts.Length > MaxFormats + 3 || !ushort.TryParse(parts[1], NumberStyles.None, null, out var port))
        {
            throw new SdpException($"Section {index} does not begin with kind, port, protocol and formats.");
        }

        return new OfferedMedia { Kind = parts[0], Protocol = parts[2], Formats = parts[3..], IsRejected = port == 0 };
    }

    private sealed class Reading
    {
        private string[] _bundle = [];
        private bool _hasBundle;
        private string _ufrag = "";
        private string _password = "";
        private string _fingerprint = "";
        private string _setup = "";
        private string _sectionUfrag = "";
        private string _sectionPassword = "";
        private string _sectionFingerprint = "";
        private string _sectionSetup = "";

        public List<OfferedMedia> Sections { get; } = [];

        public void Begin(OfferedMedia section) => Sections.Add(section);

        public void Apply(ReadOnlySpan<char> name, ReadOnlySpan<char> value)
        {
            // Session level, else the first section that says it: in a bundle the first one's transport is everybody's.
            switch (name)
            {
                case "ice-ufrag":
                    Take(ref _ufrag, ref _sectionUfrag, value);
                    return;
                case "ice-pwd":
                    Take(ref _password, ref _sectionPassword, value);
                    return;
                case "setup":
                    Take(ref _setup, ref _sectionSetup, value);
                    return;
                case "fingerprint" when value.StartsWith("sha-256 ", StringComparison.OrdinalIgnoreCase):
                    Take(ref _fingerprint, ref _sectionFingerprint, value["sha-256 ".Length..].Trim());
                    return;
                case "group" when Sections.Count == 0 && value.StartsWith("BUNDLE"):
                    _bundle = value["BUNDLE".Length..].ToString().Split(' ', StringSplitOptions.RemoveEmptyEntries);
                    _hasBundle = true;
                    return;
                default:
                    break;
            }

            if (Sections.Count > 0)
            {
                ApplyToSection(Sections[^1], name, value);
            }
        }

        public SessionOffer Finish()
        {
            if (Sections.Count == 0)
            {
                throw new SdpException("The offer has no sections.");
            }

            var (ufrag, password) = (Either(_ufrag, _sectionUfrag), Either(_password, _sectionPassword));
            if (ufrag.Length is < 4 or > MaxToken || password.Length is < 22 or > MaxToken)
            {
                throw new SdpException("The offer has no ice-ufrag of 4 and ice-pwd of 22 or more characters.");
            }

            var fingerprint = CertificateFingerprint.Parse(Either(_fingerprint, _sectionFingerprint))
                ?? throw new SdpException("The offer has no sha-256 fingerprint: only DTLS-SRTP is spoken here.");
            BindSections();
            return new SessionOffer(ufrag, password, fingerprint, Either(_setup, _sectionSetup) == "passive", Sections);
        }

        private static void ApplyToSection(OfferedMedia section, ReadOnlySpan<char> name, ReadOnlySpan<char> value)
        {
            switch (name)
            {
                case "mid":
                    section.Mid = Token(value);
                    break;
                case "sendonly":
                    section.Direction = Direction.SendOnly;
                    break;
                case "recvonly":
                    section.Direction = Direction.ReceiveOnly;
                    break;
                case "sendrecv":
                    section.Direction = Direction.SendAndReceive;
                    break;
                case "inactive":
                    section.Direction = Direction.Inactive;
                    break;
                case "bundle-only":
                    section.IsRejected = false;
                    break;
                case "rtpmap":
                    Add(section.RtpMaps, value);
                    break;
                case "fmtp":
                    Add(section.Parameters, value);
                    break;
                case "extmap":
                    AddExtension(section.Extensions, value);
                    break;
                case "msid":
                    var space = value.IndexOf(' ');
                    section.TrackId = space < 0 ? "" : Token(value[(space + 1)..].Trim());
                    break;
                case "ssrc":
                    AddSsrc(section.Ssrcs, value);
                    break;
                default:
                    break;
            }
        }

        private static string Either(string session, string section) => session.Length > 0 ? session : section;

        private static string Token(ReadOnlySpan<char> value) =>
            value.Length <= MaxToken ? value.ToString() : throw new SdpException($"The offer has a name longer than {MaxToken} characters.");

        private static void Add(Dictionary<string, string> map, ReadOnlySpan<char> value)
        {
            var space = value.IndexOf(' ');
            if (space is > 0 and <= 3 && map.Count < MaxFormats)
            {
                map[value[..space].ToString()] = Token(value[(space + 1)..].Trim());
            }
        }

        private static void AddExtension(Dictionary<string, int> extensions, ReadOnlySpan<char> value)
        {
            var space = value.IndexOf(' ');
            if (space <= 0 || extensions.Count >= MaxFormats)
            {
                return;
            }

            var id = value[..space];
            var uri = value[(space + 1)..].Trim();
            var slash = id.IndexOf('/');        // a direction may follow the id
            var end = uri.IndexOf(' ');         // and attributes the URI
            if (int.TryParse(slash < 0 ? id : id[..slash], NumberStyles.None, null, out var number) && number is > 0 and < 256)
            {
                extensions[Token(end < 0 ? uri : uri[..end])] = number;
            }
        }

        private static void AddSsrc(List<uint> ssrcs, ReadOnlySpan<char> value)
        {
            var space = value.IndexOf(' ');
            if (uint.TryParse(space < 0 ? value : value[..space], NumberStyles.None, null, out var ssrc)
                && ssrcs.Count < MaxSsrcs && !ssrcs.Contains(ssrc))
            {
                ssrcs.Add(ssrc);
            }
        }

        private void Take(ref string session, ref string section, ReadOnlySpan<char> value)
        {
            if (Sections.Count == 0)
            {
                session = Token(value);
            }
            else if (section.Length == 0 && !Sections[^1].IsRejected)
            {
                section = Token(value);
            }
        }

        private void BindSections()
        {
            var alive = Sections.FindAll(s => !s.IsRejected);
            if (!_hasBundle && alive.Count > 1)
            {
                throw new SdpException("The offer has several sections that are not bundled: one transport carries everything here.");
            }

            var mids = new HashSet<string>(StringComparer.Ordinal);
            foreach (var section in alive)
            {
                if (section.Mid.Length == 0 || section.Mid.Contains(' '))
                {
                    throw new SdpException("The offer has a section without a mid.");
                }

                if (!mids.Add(section.Mid))
                {
                    throw new SdpException($"The offer has the mid '{section.Mid}' twice.");
                }

                section.IsRejected = _hasBundle && !_bundle.Contains(section.Mid, StringComparer.Ordinal);
            }
        }
    }
}
