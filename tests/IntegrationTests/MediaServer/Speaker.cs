using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.MediaServer.Rooms;
using VoicePlatform.MediaServer.Sip.Media.Codecs;
using VoicePlatform.MediaServer.Transport;
using Room = VoicePlatform.MediaServer.Rooms.Room;

namespace VoicePlatform.IntegrationTests.MediaServer;

/// <summary>Somebody in a room of this process who plays a tone in real time, and keeps what is heard.</summary>
internal sealed class Speaker : ILocalObserver, IAudioSink, IAsyncDisposable
{
    private const int Rate = 48_000;

    private readonly OpusEncoder _encoder = new(Rate, complexity: 5);
    private readonly OpusDecoder _decoder = new(Rate);
    private readonly short[] _frame = new short[5_760];
    private readonly List<short> _heard = [];
    private readonly List<DataPacket> _data = [];
    private readonly CancellationTokenSource _gone = new();
    private readonly int _hz;
    private LocalParticipant _participant = null!;
    private InjectedAudio _voice = null!;

    private Speaker(int hz) => _hz = hz;

    public short[] Heard
    {
        get
        {
            lock (_heard)
            {
                return [.. _heard];
            }
        }
    }

    public string Pressed
    {
        get
        {
            lock (_data)
            {
                return string.Concat(_data.Where(d => d.ValueCase is DataPacket.ValueOneofCase.SipDtmf).Select(d => d.SipDtmf.Digit));
            }
        }
    }

    public LocalParticipant Participant => _participant;

    public static async Task<Speaker> JoinAsync(Room room, string identity, ParticipantInfo.Types.Kind kind, int hz)
    {
        var speaker = new Speaker(hz);
        speaker._participant = await room.JoinLocalAsync(
            new LocalJoin { Identity = identity, Kind = kind, Permission = new ParticipantPermission { CanPublish = true, CanSubscribe = true, CanPublishData = true } }, speaker, default);
        speaker._voice = await speaker._participant.PublishAsync(identity, default);
        await speaker._participant.ListenAsync(default);
        return speaker;
    }

    public async Task SpeakAsync(double seconds)
    {
        var pcm = new short[Rate / 50];
        var packet = new byte[1_275];
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(20), TimeProvider.System);
        for (var frame = 0; frame < seconds * 50 && !_gone.IsCancellationRequested; frame++)
        {
            for (var i = 0; i < pcm.Length; i++)
            {
                pcm[i] = (short)(8_000 * Math.Sin(2 * Math.PI * _hz * ((frame * pcm.Length) + i) / Rate));
            }

            _voice.Send(packet.AsSpan(0, _encoder.Encode(pcm, packet)), 960, 20);
            await timer.WaitForNextTickAsync();
        }
    }

    public async Task PressAsync(string keys)
    {
        foreach (var key in keys)
        {
            await _participant.SendAsync(new DataPacket { SipDtmf = new SipDTMF { Code = (uint)"0123456789*#".IndexOf(key), Digit = key.ToString() } }, default);
        }
    }

    public IAudioSink OnTrack(ParticipantInfo publisher, TrackInfo track) => this;

    public void OnFrame(ushort sequence, uint timestamp, ReadOnlySpan<byte> opus)
    {
        lock (_heard)
        {
            var length = _decoder.Decode(opus, _frame);
            _heard.AddRange(_frame.AsSpan(0, length));
        }
    }

    public void OnTrackEnded(string trackSid)
    {
    }

    public void OnData(DataPacket packet)
    {
        lock (_data)
        {
            _data.Add(packet);
        }
    }

    public void OnOthersChanged()
    {
    }

    public void OnLeft(DisconnectReason reason) => _gone.Cancel();

    public async ValueTask DisposeAsync()
    {
        await _gone.CancelAsync();
        await _participant.LeaveAsync(DisconnectReason.ClientInitiated);
        _encoder.Dispose();
        _gone.Dispose();
    }
}
