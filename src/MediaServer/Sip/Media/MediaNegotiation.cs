using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using VoicePlatform.MediaServer.Sip.Media.Sdp;
using VoicePlatform.MediaServer.Transport;
using VoicePlatform.MediaServer.Transport.Sdp;

namespace VoicePlatform.MediaServer.Sip.Media;

/// <summary>
/// Offers and answers of one call (RFC 3264). Remembers what must stay the same over re-INVITEs: the session's id, payload types, keys.
/// Of the codecs both sides have, the one that is first in our list is used; the others stay understood.
/// </summary>
internal sealed class MediaNegotiation(IReadOnlyList<PhoneCodec> codecs, MediaEncryption encryption, IPEndPoint local)
{
    private const byte FirstDynamic = 96;

    private readonly int _id = RandomNumberGenerator.GetInt32(int.MaxValue);
    private readonly SdesKey _long = SdesKey.Create(1, SrtpProfile.Aes128CmSha1);
    private readonly SdesKey _short = SdesKey.Create(2, SrtpProfile.Aes128CmSha1Short);
    private readonly Dictionary<PhoneCodec, byte> _types = new()
    {
        [PhoneCodec.Pcmu] = 0,
        [PhoneCodec.Pcma] = 8,
        [PhoneCodec.G722] = 9,
        [PhoneCodec.Opus] = FirstDynamic,
    };

    private readonly Dictionary<int, byte> _eventTypes = new() { [8_000] = 101, [48_000] = 102 };        // by clock
    private int _version;
    private bool _isOffering;
    private bool _isHeldHere;       // in our latest offer
    private bool _hasMux;

    public int Port => local.Port;

    /// <summary>What is agreed on; null before the first answer.</summary>
    public MediaPlan? Agreed { get; private set; }

    /// <summary>Our offer, and what may come before its answer does.</summary>
    public (string Sdp, MediaPlan Early) Offer(bool hold)
    {
        (_isOffering, _isHeldHere) = (true, hold);
        var sdp = Head();
        var events = codecs.Select(c => c.Clock()).Distinct().Order().ToList();
        var types = codecs.Select(c => _types[c]).Concat(events.Select(c => _eventTypes[c]));
        var protocol = encryption == MediaEncryption.Require || Agreed is { SendKey: not null, IsSecureProfile: true } ? "RTP/SAVP" : "RTP/AVP";
        sdp.Append(CultureInfo.InvariantCulture, $"m=audio {local.Port} {protocol} {string.Join(' ', types)}\r\n");
        foreach (var codec in codecs)
        {
            Describe(sdp, codec, _types[codec]);
        }

        foreach (var clock in events)
        {
            DescribeEvents(sdp, _eventTypes[clock], clock);
        }

        if (encryption != MediaEncryption.Disable)
        {
            sdp.Append($"a=crypto:{_long}\r\na=crypto:{_short}\r\n");
        }

        sdp.Append($"a=ptime:20\r\na={(hold ? "sendonly" : "sendrecv")}\r\n");
        return (sdp.ToString(), Early());
    }

    /// <exception cref="MediaRefusedException">Says why; what was agreed before stays.</exception>
    public MediaPlan TakeAnswer(string sdp)
    {
        if (!_isOffering)
        {
            throw new MediaRefusedException("There is an answer, but no offer of ours.");
        }

        var section = SessionDescription.Parse(sdp).FirstOrDefault(s => s.IsAudio)
            ?? throw new MediaRefusedException("The answer has no audio section.");
        if (section.Port == 0)
        {
            throw new MediaRefusedException("The other side refused audio.");
        }

        var (codec, type) = Choose(section, inTheirOrder: true);
        var (ours, theirs) = KeysOfAnswer(section);
        var plan = Plan(section, codec, type, ours, theirs, OfAnswer(section)) with { IsHeldHere = _isHeldHere };
        AcceptOffered(plan);
        return Agreed = plan;
    }

    /// <exception cref="MediaRefusedException">Says why; what was agreed before stays.</exception>
    public (string Sdp, MediaPlan Plan) Answer(string offer)
    {
        var sections = SessionDescription.Parse(offer);
        var (section, key) = Choose(sections);
        var (codec, type) = Choose(section, inTheirOrder: false);
        var ours = key is null ? null : (key.Profile == SrtpProfile.Aes128CmSha1 ? _long : _short) with { Tag = key.Tag };
        var direction = section.Direction switch
        {
            Direction.SendAndReceive when !IsNowhere(section) => Direction.SendAndReceive,
            Direction.SendAndReceive or Direction.SendOnly => Direction.ReceiveOnly,
            Direction.ReceiveOnly => Direction.SendOnly,
            _ => Direction.Inactive,
        };

        var plan = Plan(section, codec, type, ours, key, direction);
        Remember(plan);
        _isOffering = false;
        _hasMux = section.HasRtcpMux;
        Agreed = plan;
        return (WriteAnswer(sections, section, plan, direction), plan);
    }

    private static bool IsNowhere(MediaSection section) => section.Address is null || section.Address.Equals(IPAddress.Any) || section.Address.Equals(IPAddress.IPv6Any);

    private static Direction OfAnswer(MediaSection section) => section.Direction switch
    {
        Direction.SendAndReceive => Direction.SendAndReceive,
        Direction.SendOnly => Direction.ReceiveOnly,
        Direction.ReceiveOnly => Direction.SendOnly,
        _ => Direction.Inactive,
    };

    private static void Describe(StringBuilder sdp, PhoneCodec codec, byte type)
    {
        sdp.Append(CultureInfo.InvariantCulture, $"a=rtpmap:{type} {codec.Name()}/{codec.Clock()}{(codec == PhoneCodec.Opus ? "/2" : "")}\r\n");
        if (codec == PhoneCodec.Opus)
        {
            sdp.Append(CultureInfo.InvariantCulture, $"a=fmtp:{type} useinbandfec=1\r\n");
        }
    }

    private static void DescribeEvents(StringBuilder sdp, byte type, int clock) =>
        sdp.Append(CultureInfo.InvariantCulture, $"a=rtpmap:{type} telephone-event/{clock}\r\na=fmtp:{type} 0-15\r\n");

    private static RtpMap? MapOf(MediaSection section, byte type) =>
        section.RtpMaps.TryGetValue(type, out var map) ? map : RtpMap.Static(type);

    private static IEnumerable<(byte Type, RtpMap Map)> Maps(MediaSection section) =>
        from format in section.Formats
        let type = byte.TryParse(format, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number < 128 ? number : (byte?)null
        where type is not null
        let map = MapOf(section, type.Value)
        where map is not null
        select (type.Value, map.Value);

    private static int PacketMs(MediaSection section)
    {
        var wanted = section.PacketMs == 0 ? 20 : section.PacketMs;
        var most = section.MaxPacketMs == 0 ? wanted : Math.Min(wanted, section.MaxPacketMs);
        return most switch { >= 60 => 60, >= 40 => 40, >= 20 => 20, _ => 10 };
    }

    private (MediaSection Section, SdesKey? Key) Choose(IReadOnlyList<MediaSection> sections)
    {
        var usable = sections.Where(s => s is { IsAudio: true, Port: > 0, IsRtp: true }).ToList();
        if (usable.Count == 0)
        {
            throw new MediaRefusedException(sections.Any(s => s is { IsAudio: true, Port: > 0 })
                ? "The offer's audio is neither RTP/AVP nor RTP/SAVP: no other transport is spoken here."
                : "The offer has no audio.");
        }

        var encrypted = encryption == MediaEncryption.Disable ? null : usable.Find(s => s.Keys.Count > 0);
        if (encrypted is not null)
        {
            return (encrypted, encrypted.Keys[0]);
        }

        if (encryption == MediaEncryption.Require)
        {
            throw new MediaRefusedException("Encryption is required, and the offer has no key for AES_CM_128_HMAC_SHA1_80 or _32.");
        }

        return usable.Find(s => !s.MustEncrypt) is { } plain
            ? (plain, null)
            : throw new MediaRefusedException(encryption == MediaEncryption.Disable
                ? "The offer insists on encryption, which is disabled here."
                : "The offer insists on encryption, but has no key for AES_CM_128_HMAC_SHA1_80 or _32.");
    }

    private (PhoneCodec Codec, byte Type) Choose(MediaSection section, bool inTheirOrder)
    {
        var offered = new List<(PhoneCodec Codec, byte Type)>();
        foreach (var (type, map) in Maps(section))
        {
            if (map.Codec is { } codec && codecs.Contains(codec))
            {
                offered.Add((codec, type));
            }
        }

        if (offered.Count == 0)
        {
            throw new MediaRefusedException($"There is no codec in common: here are {string.Join(", ", codecs.Select(c => c.Name()))}.");
        }

        return inTheirOrder ? offered[0] : codecs.SelectMany(c => offered.Where(o => o.Codec == c)).First();
    }

    private (SdesKey? Ours, SdesKey? Theirs) KeysOfAnswer(MediaSection section)
    {
        var theirs = encryption == MediaEncryption.Disable ? null : section.Keys.FirstOrDefault();
        var ours = theirs?.Tag switch { 1 => _long, 2 => _short, _ => null };
        if (theirs is not null && ours?.Profile != theirs.Profile)
        {
            throw new MediaRefusedException("The answer chose a key that was not offered.");
        }

        if (theirs is null && (encryption == MediaEncryption.Require || section.MustEncrypt))
        {
            throw new MediaRefusedException("Encryption is required, and the answer has no key for it.");
        }

        return (ours, theirs);
    }

    private MediaPlan Plan(MediaSection section, PhoneCodec codec, byte type, SdesKey? ours, SdesKey? theirs, Direction direction)
    {
        var events = Maps(section).Where(m => m.Map.IsEvent && m.Map.Clock > 0).ToList();
        var (eventType, eventMap) = events.Find(e => e.Map.Clock == codec.Clock()) is { Map.Clock: > 0 } same ? same : events.FirstOrDefault();
        var isNowhere = IsNowhere(section);
        if (!isNowhere && section.Address!.AddressFamily != local.AddressFamily)
        {
            throw new MediaRefusedException($"The other side listens on {section.Address.AddressFamily}, this one on {local.AddressFamily}.");
        }

        var remote = isNowhere ? null : new IPEndPoint(section.Address!, section.Port);
        var rtcpPort = section.RtcpPort > 0 ? section.RtcpPort : Math.Min(section.Port + 1, ushort.MaxValue);
        var plan = new MediaPlan
        {
            Codec = codec,
            Type = type,
            EventType = eventMap.Clock > 0 ? eventType : null,
            EventClock = eventMap.Clock > 0 ? eventMap.Clock : 8_000,
            EventTypes = events.DistinctBy(e => e.Type).ToDictionary(e => e.Type, e => e.Map.Clock),
            Remote = remote,
            RemoteRtcp = remote is null ? null : section.HasRtcpMux ? remote : new IPEndPoint(remote.Address, rtcpPort),
            HasRtcpMux = section.HasRtcpMux,
            PacketMs = PacketMs(section),
            CanSend = remote is not null && direction is Direction.SendAndReceive or Direction.SendOnly,
            CanReceive = direction is Direction.SendAndReceive or Direction.ReceiveOnly,
            IsHeldThere = isNowhere || section.Direction is Direction.SendOnly or Direction.Inactive,
            SendKey = ours,
            ReceiveKey = theirs,
            MustDecrypt = theirs is not null,
            IsSecureProfile = section.MustEncrypt,
        };

        foreach (var (number, map) in Maps(section))
        {
            if (map.Codec is { } known && codecs.Contains(known))
            {
                plan.Accept(number, known);
            }
        }

        return plan;
    }

    /// <summary>What we offered may come, even where the answer numbers it otherwise.</summary>
    private void AcceptOffered(MediaPlan plan)
    {
        foreach (var codec in codecs)
        {
            if (plan.CodecOf(_types[codec]) is null && !plan.EventTypes.ContainsKey(_types[codec]))
            {
                plan.Accept(_types[codec], codec);
            }
        }
    }

    private MediaPlan Early()
    {
        var early = (Agreed ?? new MediaPlan { Codec = codecs[0], Type = _types[codecs[0]], MustDecrypt = encryption != MediaEncryption.Disable }) with
        {
            EventTypes = new Dictionary<byte, int>(Agreed?.EventTypes ?? new Dictionary<byte, int>())
            {
                [_eventTypes[8_000]] = 8_000,
                [_eventTypes[48_000]] = 48_000,
            },
        };
        AcceptOffered(early);
        return early;
    }

    /// <summary>A payload type keeps its meaning over the whole call (RFC 3264 section 8.3.2): our later offers use the other side's numbers.</summary>
    private void Remember(MediaPlan plan)
    {
        foreach (var (type, clock) in plan.EventTypes)
        {
            _eventTypes[clock == 48_000 ? 48_000 : 8_000] = type;
        }

        _types[plan.Codec] = plan.Type;
        var taken = plan.EventTypes.Keys.Append(plan.Type).ToHashSet();
        if (plan.Codec != PhoneCodec.Opus && taken.Contains(_types[PhoneCodec.Opus]))
        {
            _types[PhoneCodec.Opus] = Free(taken);
        }

        taken.Add(_types[PhoneCodec.Opus]);
        foreach (var clock in (int[])[8_000, 48_000])
        {
            if (!plan.EventTypes.ContainsKey(_eventTypes[clock]) && taken.Contains(_eventTypes[clock]))
            {
                _eventTypes[clock] = Free(taken);
            }

            taken.Add(_eventTypes[clock]);
        }
    }

    private static byte Free(HashSet<byte> taken)
    {
        var type = FirstDynamic;
        while (taken.Contains(type) && type < 127)
        {
            type++;
        }

        taken.Add(type);
        return type;
    }

    private StringBuilder Head()
    {
        var family = local.AddressFamily == System.Net.Sockets.AddressFamily.InterNetworkV6 ? "IP6" : "IP4";
        return new StringBuilder().Append(
            CultureInfo.InvariantCulture,
            $"v=0\r\no=- {_id} {++_version} IN {family} {local.Address}\r\ns=VoicePlatform\r\nc=IN {family} {local.Address}\r\nt=0 0\r\n");
    }

    private string WriteAnswer(IReadOnlyList<MediaSection> sections, MediaSection chosen, MediaPlan plan, Direction direction)
    {
        var sdp = Head();
        foreach (var section in sections)
        {
            if (section != chosen)
            {
                sdp.Append($"m={section.Kind} 0 {section.Protocol} {string.Join(' ', section.Formats)}\r\n");
                continue;
            }

            var events = plan.EventType is { } e ? $" {e}" : "";
            sdp.Append(CultureInfo.InvariantCulture, $"m=audio {local.Port} {section.Protocol} {plan.Type}{events}\r\n");
            Describe(sdp, plan.Codec, plan.Type);
            if (plan.EventType is { } type)
            {
                DescribeEvents(sdp, type, plan.EventClock);
            }

            if (plan.SendKey is not null)
            {
                sdp.Append($"a=crypto:{plan.SendKey}\r\n");
            }

            if (_hasMux)
            {
                sdp.Append("a=rtcp-mux\r\n");
            }

            var name = direction switch
            {
                Direction.SendAndReceive => "sendrecv",
                Direction.SendOnly => "sendonly",
                Direction.ReceiveOnly => "recvonly",
                _ => "inactive",
            };
            sdp.Append(CultureInfo.InvariantCulture, $"a=ptime:{plan.PacketMs}\r\na={name}\r\n");
        }

        return sdp.ToString();
    }
}
