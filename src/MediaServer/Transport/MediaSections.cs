using System.Collections.Concurrent;
using VoicePlatform.MediaServer.Transport.Rtp;
using VoicePlatform.MediaServer.Transport.Sdp;
using VoicePlatform.MediaServer.Transport.Srtp;

namespace VoicePlatform.MediaServer.Transport;

/// <summary>
/// Which section of one peer carries what: the tracks that the client publishes, and the subscriptions in its receiving sections.
/// Everything but the look-ups of the receive thread is guarded by the peer's negotiation lock.
/// </summary>
/// <remarks>
/// A section that loses its track is answered <c>inactive</c> once before it takes another one, so that the client sees the old track
/// end and the new one start.
/// </remarks>
internal sealed class MediaSections(SrtpSender sender, MediaClock clock, Action<uint> forgetInbound)
{
    /// <summary>SSRCs a client may use without having signalled them: each costs state in the SRTP session.</summary>
    private const int MaxLearned = 32;

    /// <summary>SSRCs a client may signal at a time; the look-up in the SRTP session is linear.</summary>
    private const int MaxSignalled = 128;

    private readonly Dictionary<string, Slot> _slots = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Published> _published = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<uint, InboundAudio> _bySsrc = new();
    private volatile Subscription[] _subscriptions = [];
    private volatile InboundAudio[] _audio = [];
    private int _learned;

    /// <summary>Of this peer, with and without a section. A snapshot.</summary>
    public IReadOnlyList<Subscription> Subscriptions => _subscriptions;

    /// <summary>Published by this peer. A snapshot.</summary>
    public InboundAudio[] Audio => _audio;

    /// <summary>Subscriptions without a section, less the sections that are free or become free at the next offer.</summary>
    public int Missing => Math.Max(0, _subscriptions.Count(s => s.Mid is null) - _slots.Values.Count(slot => slot.Subscription is null));

    public bool NeedsNegotiation => _subscriptions.Any(s => s.Mid is null) || _slots.Values.Any(slot => slot.MustGoInactive);

    public void Add(Subscription subscription) => _subscriptions = [.. _subscriptions, subscription];

    public void Remove(Subscription subscription)
    {
        _subscriptions = [.. _subscriptions.Where(s => s != subscription)];
        Release(subscription);
    }

    /// <summary>The published track an RTP packet belongs to, by what it carries in the clear. Any thread; allocates nothing.</summary>
    public InboundAudio? Find(in RtpPacket packet)
    {
        if (_bySsrc.TryGetValue(packet.Ssrc, out var known))
        {
            return known;
        }

        if (_learned >= MaxLearned)
        {
            return null;
        }

        var audio = _audio;
        foreach (var candidate in audio)
        {
            var mid = packet.Extension(candidate.Format.MidId);
            if (!mid.IsEmpty)
            {
                if (Matches(mid, candidate.Mid))
                {
                    return candidate;
                }
            }
            else if (audio.Length == 1)
            {
                return candidate;
            }
        }

        return null;
    }

    /// <summary>SSRCs that belong to published tracks.</summary>
    public int KnownStreams => _bySsrc.Count;

    public bool Knows(uint ssrc) => _bySsrc.ContainsKey(ssrc);

    /// <summary>Remembers an SSRC that was found by its mid, once its packet has proved authentic.</summary>
    public void Learn(uint ssrc, InboundAudio audio)
    {
        if (_bySsrc.TryAdd(ssrc, audio))
        {
            _learned++;
        }
    }

    /// <summary>Applies the sections of an offer and says how each is answered.</summary>
    public List<AnsweredSection> Apply(SessionOffer offer, PublishingChoices choices)
    {
        var formats = offer.Sections.Select(s => s.Kind == "audio" && !s.IsRejected ? s.AudioFormat() : null).ToArray();
        DropWhatIsGone(offer, formats);
        Offer(offer, formats);
        Assign();

        var answers = new List<AnsweredSection>(offer.Sections.Count);
        for (var i = 0; i < offer.Sections.Count; i++)
        {
            answers.Add(Answer(offer.Sections[i], formats[i], choices));
        }

        Publish();
        return answers;
    }

    /// <summary>Frees everything: the peer is gone.</summary>
    public void Clear()
    {
        foreach (var subscription in _subscriptions)
        {
            subscription.Source.Remove(subscription);
            subscription.Release();
        }

        _subscriptions = [];
        _slots.Clear();
        _published.Clear();
        _bySsrc.Clear();
        _audio = [];
    }

    private static bool Matches(ReadOnlySpan<byte> mid, string text)
    {
        if (mid.Length != text.Length)
        {
            return false;
        }

        for (var i = 0; i < mid.Length; i++)
        {
            if (mid[i] != text[i])
            {
                return false;
            }
        }

        return true;
    }

    private static bool IsReceiving(OfferedMedia section) => section.Direction == Direction.ReceiveOnly;

    private static bool IsSending(OfferedMedia section) => section.Direction is Direction.SendOnly or Direction.SendAndReceive;

    private void DropWhatIsGone(SessionOffer offer, AudioFormat?[] formats)
    {
        var receiving = new HashSet<string>(StringComparer.Ordinal);
        var sending = new HashSet<string>(StringComparer.Ordinal);
        for (var i = 0; i < formats.Length; i++)
        {
            if (formats[i] is not null)
            {
                var section = offer.Sections[i];
                (IsReceiving(section) ? receiving : IsSending(section) ? sending : []).Add(section.Mid);
            }
        }

        foreach (var (mid, slot) in _slots.Where(s => !receiving.Contains(s.Key)).ToArray())
        {
            if (slot.Subscription is { } orphan)
            {
                Release(orphan);
            }

            _slots.Remove(mid);
        }

        foreach (var mid in _published.Keys.Where(mid => !sending.Contains(mid)).ToArray())
        {
            _published.Remove(mid);
        }
    }

    private void Offer(SessionOffer offer, AudioFormat?[] formats)
    {
        for (var i = 0; i < formats.Length; i++)
        {
            if (formats[i] is not { } format || !IsReceiving(offer.Sections[i]))
            {
                continue;
            }

            var mid = offer.Sections[i].Mid;
            if (!_slots.TryGetValue(mid, out var slot))
            {
                _slots[mid] = new Slot(format);
            }
            else
            {
                slot.Format = format;
            }
        }
    }

    private void Assign()
    {
        // Sections that are free and have said so; offers list them in the order of the mids the client made.
        foreach (var subscription in _subscriptions)
        {
            if (subscription.Mid is not null)
            {
                continue;
            }

            var (mid, slot) = _slots.FirstOrDefault(s => s.Value is { Subscription: null, MustGoInactive: false });
            if (slot is null)
            {
                break;
            }

            slot.Subscription = subscription;
            subscription.Assign(mid, new OutboundStream(sender, slot.Format, mid, subscription.StreamId));
        }

        foreach (var slot in _slots.Values)
        {
            slot.MustGoInactive = false;        // this answer says so
        }
    }

    private AnsweredSection Answer(OfferedMedia section, AudioFormat? format, PublishingChoices choices)
    {
        if (section.IsRejected)
        {
            return new AnsweredSection.Rejected(section);
        }

        if (section.Kind != "audio")
        {
            // Rejecting a video section (port 0) would stop the client's transceiver for good and recycle its mid; idle keeps it as it is.
            return section.IsData ? new AnsweredSection.Data(section)
                : section.Kind == "video" ? new AnsweredSection.Idle(section, null)
                : new AnsweredSection.Rejected(section);
        }

        if (format is null)
        {
            return new AnsweredSection.Rejected(section);
        }

        if (IsSending(section))
        {
            var chosen = choices.PlainOpus.Contains(section.TrackId) ? format with { Red = null } : format;
            Take(section, chosen);
            return new AnsweredSection.Receiving(section, chosen, !choices.Continuous.Contains(section.TrackId));
        }

        return IsReceiving(section) && _slots[section.Mid].Subscription is { Stream: { } stream } subscription
            ? new AnsweredSection.Sending(section, format, subscription, stream)
            : new AnsweredSection.Idle(section, format);
    }

    private void Take(OfferedMedia section, AudioFormat format)
    {
        if (!_published.TryGetValue(section.Mid, out var published) || published.TrackId != section.TrackId)
        {
            published = new Published(section.TrackId, new InboundAudio(section.Mid, format, clock));
            _published[section.Mid] = published;
        }

        published.Audio.Format = format;
        Retire(published.Audio, except: section.Ssrcs);
        foreach (var ssrc in section.Ssrcs)
        {
            if (_bySsrc.Count < MaxSignalled || _bySsrc.ContainsKey(ssrc))
            {
                _bySsrc[ssrc] = published.Audio;
            }
        }
    }

    /// <summary>A section that names its SSRCs has no others: those of former offers would pile up.</summary>
    private void Retire(InboundAudio audio, List<uint> except)
    {
        if (except.Count == 0)
        {
            return;
        }

        foreach (var (ssrc, _) in _bySsrc.Where(entry => entry.Value == audio && !except.Contains(entry.Key)).ToArray())
        {
            _bySsrc.TryRemove(ssrc, out _);
            forgetInbound(ssrc);
        }
    }

    private void Publish()
    {
        _audio = [.. _published.Values.Select(p => p.Audio)];
        foreach (var (ssrc, _) in _bySsrc.Where(entry => !_audio.Contains(entry.Value)).ToArray())
        {
            _bySsrc.TryRemove(ssrc, out _);
            forgetInbound(ssrc);
            Volatile.Write(ref _learned, 0);        // an offer that retires streams makes room for new ones
        }
    }

    public InboundAudio? PublishedIn(string mid) => _published.GetValueOrDefault(mid)?.Audio;

    private void Release(Subscription subscription)
    {
        if (subscription.Mid is { } mid && _slots.TryGetValue(mid, out var slot) && slot.Subscription == subscription)
        {
            slot.Subscription = null;
            slot.MustGoInactive = true;
        }

        var stream = subscription.Stream;
        subscription.Release();
        stream?.Close();
    }

    /// <summary>A section in which the client receives.</summary>
    private sealed class Slot(AudioFormat format)
    {
        public AudioFormat Format { get; set; } = format;

        public Subscription? Subscription { get; set; }

        public bool MustGoInactive { get; set; }
    }

    private sealed record Published(string TrackId, InboundAudio Audio);
}
