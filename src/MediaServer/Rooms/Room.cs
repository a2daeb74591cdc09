using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using VoicePlatform.LiveKit.Protocol;

namespace VoicePlatform.MediaServer.Rooms;

/// <summary>
/// A room. One loop does all its work, in order, so nothing in a room needs a lock: signal messages, data, transport events, server
/// API calls and the clock all arrive in one bounded mailbox. A full mailbox makes sockets wait, and drops data messages (counted;
/// a participant whose reliable data was dropped has to reconnect).
/// </summary>
internal sealed partial class Room
{
    private static readonly TimeSpan TickInterval = TimeSpan.FromMilliseconds(200);

    private readonly Channel<Work> _mailbox = Channel.CreateBounded<Work>(
        new BoundedChannelOptions(Limits.RoomMailbox) { SingleReader = true });

    private readonly Dictionary<string, Participant> _participants = new(StringComparer.Ordinal);
    private readonly List<Participant> _changed = [];
    private readonly List<Task> _endings = [];
    private readonly RoomServices _services;
    private readonly TimeProvider _clock;
    private readonly ILogger _log;
    private readonly Action<Room> _ended;
    private readonly LiveKit.Protocol.Room _info;
    private readonly IReadOnlyList<RoomAgentDispatch> _agents;

    private Task _loop = Task.CompletedTask;
    private ITimer? _ticker;
    private long _emptySince;
    private bool _wasJoined;
    private bool _infoChanged;
    private long _ticks;
    private long _faults;

    public Room(RoomServices services, string name, RoomConfiguration configuration, Action<Room> ended)
    {
        _services = services;
        _clock = services.Clock;
        _log = services.Logs.CreateLogger<Room>();
        _ended = ended;
        Name = name;
        _agents = configuration.Agents;
        var now = _clock.GetUtcNow();
        var options = services.Options;
        _info = new LiveKit.Protocol.Room
        {
            Sid = Rooms.Sid.Room(),
            Name = name,
            EmptyTimeout = configuration.EmptyTimeout > 0 ? configuration.EmptyTimeout : (uint)options.EmptyTimeout.TotalSeconds,
            DepartureTimeout = configuration.DepartureTimeout > 0 ? configuration.DepartureTimeout : (uint)options.DepartureTimeout.TotalSeconds,
            MaxParticipants = configuration.MaxParticipants > 0 ? configuration.MaxParticipants : options.MaxParticipants,
            CreationTime = now.ToUnixTimeSeconds(),
            CreationTimeMs = now.ToUnixTimeMilliseconds(),
            TurnPassword = Rooms.Sid.Secret(44),
            Metadata = configuration.Metadata,
        };
        _info.EnabledCodecs.Add([.. AudioCodecs.Select(mime => new Codec { Mime = mime })]);
        _emptySince = _clock.GetTimestamp();
    }

    /// <summary>What this server forwards.</summary>
    public static IReadOnlyList<string> AudioCodecs { get; } = ["audio/opus", "audio/red"];

    public string Name { get; }

    public string Sid => _info.Sid;

    public bool IsClosed { get; private set; }

    /// <summary>Data messages dropped because the mailbox was full.</summary>
    public long DroppedData => Interlocked.Read(ref _droppedData);

    /// <summary>Pieces of work that failed: each is a bug.</summary>
    public long Faults => Interlocked.Read(ref _faults);

    public void Start()
    {
        _loop = Task.Run(RunAsync);
        _ticker = _clock.CreateTimer(_ => TryPost(Tick), null, TickInterval, TickInterval);
        Announce("room_started");
        _services.Agents.RoomStarted(_info.Clone(), _agents);
    }

    /// <summary>Hands work to the room's loop from a thread that must not wait. False when the room is full or has ended.</summary>
    public bool TryPost(Action work) => _mailbox.Writer.TryWrite(new Work(work, null));

    /// <summary>Hands work to the room's loop; waits while the room is full. Work for a room that has ended is dropped.</summary>
    public async ValueTask PostAsync(Action work, CancellationToken cancellationToken)
    {
        try
        {
            await _mailbox.Writer.WriteAsync(new Work(work, null), cancellationToken);
        }
        catch (ChannelClosedException)
        {
            // The room has ended; its participants were told.
        }
    }

    /// <summary>Runs a question on the room's loop.</summary>
    /// <exception cref="RoomClosedException">The room has ended.</exception>
    public async Task<T> AskAsync<T>(Func<T> question, CancellationToken cancellationToken)
    {
        var answer = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        var work = new Work(
            () =>
            {
                try
                {
                    answer.TrySetResult(question());
                }
                catch (Exception e)
                {
                    answer.TrySetException(e);
                }
            },
            () => answer.TrySetException(new RoomClosedException()));
        try
        {
            await _mailbox.Writer.WriteAsync(work, cancellationToken);
        }
        catch (ChannelClosedException)
        {
            throw new RoomClosedException();
        }

        return await answer.Task.WaitAsync(cancellationToken);
    }

    /// <summary>Ends the room: everybody is told why and disconnected. Returns when all of it is gone.</summary>
    public async Task CloseAsync(DisconnectReason reason)
    {
        await PostAsync(() => Close(reason), CancellationToken.None);
        await _loop;
    }

    public LiveKit.Protocol.Room ToInfo()
    {
        var visible = _participants.Values.Where(p => !p.IsHidden).ToList();
        _info.NumParticipants = (uint)visible.Count;
        _info.ActiveRecording = _participants.Values.Any(p => p.Permission.Recorder);
        _info.NumPublishers = (uint)visible.Count(p => p.Tracks.Count > 0);
        return _info.Clone();
    }

    private async Task RunAsync()
    {
        var reader = _mailbox.Reader;
        while (await reader.WaitToReadAsync())
        {
            // Changes are told once per batch: under load many become one message, idle they go out at once.
            for (var i = 0; i < 64 && reader.TryRead(out var work); i++)
            {
                if (IsClosed)
                {
                    work.Refuse?.Invoke();
                    continue;
                }

                Try(work.Run);
            }

            if (!IsClosed)
            {
                Try(FlushChanges);
                Try(RequestOffers);
            }
        }

        var endings = Task.WhenAll(_endings);
        await endings.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (endings.Exception is { } fault)
        {
            LogFault(_log, fault, Name);
        }
    }

    // One participant's fault must not end the room for the others.
    private void Try(Action work)
    {
        try
        {
            work();
        }
        catch (Exception e)
        {
            Interlocked.Increment(ref _faults);
            LogFault(_log, e, Name);
        }
    }

    // A fault while working for one participant ends that one: what it knows of the room may no longer be true.
    private void Guard(Participant participant, Action work)
    {
        try
        {
            work();
        }
        catch (Exception e)
        {
            LogFault(_log, e, Name);
            Interlocked.Increment(ref _faults);
            Try(() => Remove(participant, DisconnectReason.StateMismatch, LeaveRequest.Types.Action.Reconnect));
        }
    }

    private void Tick()
    {
        _ticks++;
        foreach (var participant in _participants.Values.ToList())
        {
            Guard(participant, () => CheckAlive(participant));
        }

        if (_ticks % 2 == 0)
        {
            TellSpeakers();
        }

        if (_ticks % 25 == 0)
        {
            TellQuality();
        }

        if (_infoChanged && _ticks % 5 == 0)
        {
            _infoChanged = false;
            Broadcast(new SignalResponse { RoomUpdate = new RoomUpdate { Room = ToInfo() } });
        }

        _endings.RemoveAll(ending => ending.IsCompletedSuccessfully);
        CloseWhenEmpty();
    }

    private void CloseWhenEmpty()
    {
        // An agent or a recorder alone does not keep a room open.
        if (_participants.Values.Any(p => !p.IsDependent))
        {
            _emptySince = _clock.GetTimestamp();
            return;
        }

        var patience = TimeSpan.FromSeconds(_wasJoined ? _info.DepartureTimeout : _info.EmptyTimeout);
        if (_clock.GetElapsedTime(_emptySince) >= patience)
        {
            Close(DisconnectReason.RoomClosed);
        }
    }

    private void Close(DisconnectReason reason)
    {
        if (IsClosed)
        {
            return;
        }

        try
        {
            foreach (var participant in _participants.Values.ToList())
            {
                Remove(participant, reason, LeaveRequest.Types.Action.Disconnect);
            }
        }
        finally
        {
            // Told before the name is free: the next room of it is told of after this one.
            Try(() => Announce("room_finished"));
            Try(() => _services.Agents.RoomEnded(Sid));

            // Whatever fails on the way, nobody waits for the loop in vain.
            IsClosed = true;
            _ticker?.Dispose();
            _ended(this);
            _mailbox.Writer.TryComplete();
        }
    }

    /// <summary>Remembers that others must be told of a participant's present state.</summary>
    private void Changed(Participant participant)
    {
        if (!_changed.Contains(participant))
        {
            _changed.Add(participant);
        }
    }

    private void FlushChanges()
    {
        if (_changed.Count == 0)
        {
            return;
        }

        var visible = new ParticipantUpdate();
        foreach (var participant in _changed)
        {
            if (participant.State is not ParticipantInfo.Types.State.Disconnected)
            {
                participant.Version++;
            }

            var info = participant.ToInfo();
            if (participant.IsHidden)
            {
                participant.Send(new SignalResponse { Update = new ParticipantUpdate { Participants = { info } } });
            }
            else
            {
                visible.Participants.Add(info);
            }
        }

        _changed.Clear();
        if (visible.Participants.Count > 0)
        {
            Broadcast(new SignalResponse { Update = visible });
            TellLocals();
        }
    }

    private void Broadcast(SignalResponse message)
    {
        ReadOnlyMemory<byte> frame = Google.Protobuf.MessageExtensions.ToByteArray(message);
        foreach (var participant in _participants.Values)
        {
            participant.Signal?.Send(frame);
        }
    }

    private void Announce(string name, Action<WebhookEvent>? fill = null)
    {
        var webhook = new WebhookEvent { Event = name };
        fill?.Invoke(webhook);
        webhook.Room ??= ToInfo();
        _services.Webhooks.Enqueue(Name, webhook);
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "Room {Room}: a piece of work failed; the room goes on")]
    private static partial void LogFault(ILogger log, Exception exception, string room);

    private readonly record struct Work(Action Run, Action? Refuse);
}

/// <summary>The room ended before the question could be asked.</summary>
internal sealed class RoomClosedException() : Exception("requested room does not exist");
