# One image; docker-compose.yml says which process a container is.
FROM python:3.13-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

RUN useradd --create-home --uid 10001 kennel \
 && install --directory --owner=kennel --group=kennel /data
WORKDIR /app

COPY . .
RUN pip install --only-binary :all: --no-binary kennel -c constraints.txt -e .

# /data is given to the user before it becomes a volume: a new named volume takes over its owner.
VOLUME /data
USER kennel
EXPOSE 8000 5555
CMD ["python", "-m", "uvicorn", "api.main:create_app", "--factory", "--host=0.0.0.0", "--port=8000"]
