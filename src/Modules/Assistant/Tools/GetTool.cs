using VoicePlatform.Assistants.Data;

namespace VoicePlatform.Assistants.Tools;

/// <summary>A tool; header values are masked.</summary>
internal static class GetTool
{
    public static void Map(RouteGroupBuilder tools) => tools
        .MapGet("/{id}", async (string id, HttpContext http, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId, id), ct)).ToHttp(r => ToolView.Answer(r, http)))
        .WithName(nameof(GetTool))
        .Produces<ToolView>();

    public sealed record Query(string TenantId, string ToolId) : IRequest<Result<ToolView>>;

    internal sealed class Handler(AssistantDb db, SecretBox box) : IRequestHandler<Query, Result<ToolView>>
    {
        public async Task<Result<ToolView>> Handle(Query request, CancellationToken cancellationToken) =>
            await db.Tools.AsNoTracking().SingleOrDefaultAsync(t => t.Id == request.ToolId && t.TenantId == request.TenantId && t.DeletedAt == null, cancellationToken) is { } tool
                ? ToolView.Of(tool, box)
                : AssistantErrors.ToolNotFound;
    }
}
