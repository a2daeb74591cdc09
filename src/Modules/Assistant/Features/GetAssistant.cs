using VoicePlatform.Assistants.Data;
using VoicePlatform.Contracts.Assistants;

namespace VoicePlatform.Assistants.Features;

/// <summary>An assistant with its current document.</summary>
internal static class GetAssistant
{
    public static void Map(RouteGroupBuilder assistants) => assistants
        .MapGet("/{id}", async (string id, HttpContext http, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId, id), ct)).ToHttp(r => AssistantView.Answer(r, http)))
        .WithName(nameof(GetAssistant))
        .Produces<AssistantView>();

    public sealed record Query(string TenantId, string AssistantId) : IRequest<Result<AssistantView>>;

    internal sealed class Handler(AssistantDb db) : IRequestHandler<Query, Result<AssistantView>>
    {
        public async Task<Result<AssistantView>> Handle(Query request, CancellationToken cancellationToken)
        {
            var found = await db.Assistants.AsNoTracking()
                .Where(a => a.Id == request.AssistantId && a.TenantId == request.TenantId && a.DeletedAt == null)
                .Join(db.Versions, a => new { a.Id, a.Version }, v => new { Id = v.AssistantId, v.Version }, (a, v) => new { Assistant = a, v.Document })
                .SingleOrDefaultAsync(cancellationToken);
            return found is null ? AssistantErrors.NotFound : AssistantView.Of(found.Assistant, Json.Read<AssistantDocument>(found.Document));
        }
    }
}
