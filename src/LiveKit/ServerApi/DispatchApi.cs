using VoicePlatform.LiveKit.Protocol;

namespace VoicePlatform.LiveKit.ServerApi;

/// <summary>Sends agents, by name, to rooms.</summary>
public readonly struct DispatchApi
{
    private readonly TwirpClient _twirp;

    internal DispatchApi(TwirpClient twirp) => _twirp = twirp;

    /// <summary>Asks for an agent; the room is created if there is none. Not repeated: a second dispatch would bring a second agent.</summary>
    public Task<AgentDispatch> CreateAsync(CreateAgentDispatchRequest request, CancellationToken cancellationToken) =>
        _twirp.CallAsync<AgentDispatch>(
            "livekit.AgentDispatchService/CreateDispatch", request, Grants.Admin(request.Room), Repeat.Never, cancellationToken);

    public Task<AgentDispatch> DeleteAsync(string room, string dispatchId, CancellationToken cancellationToken) =>
        _twirp.CallAsync<AgentDispatch>(
            "livekit.AgentDispatchService/DeleteDispatch",
            new DeleteAgentDispatchRequest { Room = room, DispatchId = dispatchId },
            Grants.Admin(room),
            Repeat.Safe,
            cancellationToken);

    /// <param name="dispatchId">Only this one; null: all of the room.</param>
    public async Task<IReadOnlyList<AgentDispatch>> ListAsync(string room, string? dispatchId, CancellationToken cancellationToken)
    {
        var response = await _twirp.CallAsync<ListAgentDispatchResponse>(
            "livekit.AgentDispatchService/ListDispatch",
            new ListAgentDispatchRequest { Room = room, DispatchId = dispatchId ?? "" },
            Grants.Admin(room),
            Repeat.Safe,
            cancellationToken);
        return response.AgentDispatches;
    }
}
