using VoicePlatform.Contracts.Sessions;
using VoicePlatform.Sessions.Data;

namespace VoicePlatform.Sessions;

/// <summary>Kinds of notes that this module makes itself; public vocabulary.</summary>
internal static class SessionNotes
{
    /// <summary>No agent could be sent; the detail says why.</summary>
    public const string AgentAbsent = "agent.absent";
}

/// <summary>Adds a line to what is worth knowing of a session later.</summary>
internal sealed record NoteOnSession(string SessionId, string Kind, string Detail) : ICommand<Done>;

internal sealed class NoteOnSessionHandler(UnitOfWork unit, TimeProvider clock) : IRequestHandler<NoteOnSession, Result<Done>>
{
    public async Task<Result<Done>> Handle(NoteOnSession request, CancellationToken cancellationToken)
    {
        await unit.AppendAsync(request.SessionId, [], [], [], [new SessionNote(clock.GetUtcNow(), request.Kind, request.Detail)], cancellationToken);
        return default(Done);
    }
}
