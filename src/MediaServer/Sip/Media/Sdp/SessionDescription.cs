using System.Globalization;
using System.Net;
using VoicePlatform.MediaServer.Transport.Sdp;

namespace VoicePlatform.MediaServer.Sip.Media.Sdp;

/// <summary>A telephone's session description (RFC 8866), as far as audio needs it. Tolerant of what it does not know; everything is bounded.</summary>
internal static class SessionDescription
{
    private const int MaxLength = 32_768;
    private const int MaxLines = 1_000;
    private const int MaxSections = 16;
    private const int MaxFormats = 64;
    private const int MaxKeys = 16;
    private const int MaxToken = 64;

    /// <summary>The sections in their order; at least one.</summary>
    /// <exception cref="MediaRefusedException">It is no session description.</exception>
    public static IReadOnlyList<MediaSection> Parse(string sdp)
    {
        if (sdp.Length > MaxLength)
        {
            throw new MediaRefusedException($"The session description is longer than {MaxLength} characters.");
        }

        var reader = new Reader();
        var count = 0;
        foreach (var line in sdp.AsSpan().EnumerateLines())
        {
            if (++count > MaxLines)
            {
                throw new MediaRefusedException($"The session description has more than {MaxLines} lines.");
            }

            if (line.Length >= 2 && line[1] == '=')
            {
                reader.Take(line[0], line[2..].Trim());
            }
        }

        return reader.Sections.Count > 0 ? reader.Sections : throw new MediaRefusedException("The session description has no media section.");
    }

    private static bool TryInt(ReadOnlySpan<char> text, out int value) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out value);

    private sealed class Reader
    {
        private IPAddress? _address;
        private Direction _direction = Direction.SendAndReceive;

        public List<MediaSection> Sections { get; } = [];

        public void Take(char type, ReadOnlySpan<char> value)
        {
            switch (type)
            {
                case 'm':
                    Sections.Add(Section(value));
                    break;
                case 'c' when Sections.Count == 0:
                    _address = Address(value);
                    break;
                case 'c':
                    Sections[^1].Address = Address(value);
                    break;
                case 'a':
                    var colon = value.IndexOf(':');
                    Attribute(colon < 0 ? value : value[..colon], colon < 0 ? default : value[(colon + 1)..].Trim());
                    break;
                default:
                    break;      // origin, name, times, bandwidth
            }
        }

        private static IPAddress? Address(ReadOnlySpan<char> value)
        {
            Span<Range> parts = stackalloc Range[4];
            if (value.Split(parts, ' ', StringSplitOptions.RemoveEmptyEntries) < 3)
            {
                return null;
            }

            var host = value[parts[2]];
            var slash = host.IndexOf('/');      // the lifetime of a multicast
            return IPAddress.TryParse(slash < 0 ? host : host[..slash], out var address) ? address : null;
        }

        private static string Token(ReadOnlySpan<char> value)
        {
            // It goes into the answer: nothing but what the grammar allows.
            var isToken = value.Length is > 0 and <= MaxToken;
            foreach (var c in value)
            {
                isToken &= char.IsAsciiLetterOrDigit(c) || "!#$%&'*+-./^_`{|}~".Contains(c);
            }

            return isToken ? value.ToString() : throw new MediaRefusedException("The session description has a malformed media line.");
        }

        private static void AddKey(List<SdesKey> keys, ReadOnlySpan<char> value)
        {
            if (keys.Count < MaxKeys && SdesKey.Parse(value.ToString()) is { } key)
            {
                keys.Add(key);
            }
        }

        private static void AddMap(Dictionary<byte, RtpMap> maps, ReadOnlySpan<char> value)
        {
            var space = value.IndexOf(' ');
            if (space <= 0 || maps.Count >= MaxFormats || !TryInt(value[..space], out var type) || type > 127)
            {
                return;
            }

            var map = value[(space + 1)..].Trim();
            var slash = map.IndexOf('/');
            if (slash is <= 0 or > MaxToken)
            {
                return;
            }

            var clock = map[(slash + 1)..];
            var channels = clock.IndexOf('/');
            if (TryInt(channels < 0 ? clock : clock[..channels], out var rate))
            {
                maps[(byte)type] = new RtpMap(map[..slash].ToString(), rate);
            }
        }

        private MediaSection Section(ReadOnlySpan<char> value)
        {
            Span<Range> parts = stackalloc Range[MaxFormats + 4];
            var count = value.Split(parts, ' ', StringSplitOptions.RemoveEmptyEntries);
            if (Sections.Count >= MaxSections || count < 4 || count == parts.Length)
            {
                throw new MediaRefusedException("The session description has too many media sections or formats, or a media line without a format.");
            }

            var port = value[parts[1]];
            var slash = port.IndexOf('/');
            if (!TryInt(slash < 0 ? port : port[..slash], out var number) || number > ushort.MaxValue)
            {
                throw new MediaRefusedException("The session description has a media line without a port.");
            }

            var formats = new List<string>();
            foreach (var range in parts[3..count])
            {
                formats.Add(Token(value[range]));
            }

            return new MediaSection(Token(value[parts[0]]), number, Token(value[parts[2]]), formats) { Address = _address, Direction = _direction };
        }

        private void Attribute(ReadOnlySpan<char> name, ReadOnlySpan<char> value)
        {
            if (DirectionOf(name) is { } direction)
            {
                _ = Sections.Count == 0 ? _direction = direction : Sections[^1].Direction = direction;
                return;
            }

            if (Sections.Count == 0)
            {
                return;
            }

            var section = Sections[^1];
            switch (name)
            {
                case "rtpmap":
                    AddMap(section.RtpMaps, value);
                    break;
                case "crypto":
                    AddKey(section.Keys, value);
                    break;
                case "ptime" when TryMilliseconds(value, out var ms):
                    section.PacketMs = ms;
                    break;
                case "maxptime" when TryMilliseconds(value, out var ms):
                    section.MaxPacketMs = ms;
                    break;
                case "rtcp-mux":
                    section.HasRtcpMux = true;
                    break;
                case "rtcp":
                    var space = value.IndexOf(' ');
                    section.RtcpPort = TryInt(space < 0 ? value : value[..space], out var port) && port <= ushort.MaxValue ? port : 0;
                    break;
                default:
                    break;
            }
        }

        private static bool TryMilliseconds(ReadOnlySpan<char> value, out int ms)
        {
            var dot = value.IndexOf('.');
            return TryInt(dot < 0 ? value : value[..dot], out ms) && ms is > 0 and <= 1_000;
        }

        private static Direction? DirectionOf(ReadOnlySpan<char> name) => name switch
        {
            "sendrecv" => Direction.SendAndReceive,
            "sendonly" => Direction.SendOnly,
            "recvonly" => Direction.ReceiveOnly,
            "inactive" => Direction.Inactive,
            _ => null,
        };
    }
}
